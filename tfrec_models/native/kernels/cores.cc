// Compiles the templates of lookups and gradients.
#include "cores.h"

namespace tfrec {

TFREC_CORES();

}  // namespace tfrec
