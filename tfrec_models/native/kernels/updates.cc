// Compiles the optimizers' rules for every type of table, gradient and row.
#include "cores.h"

namespace tfrec {

TFREC_UPDATES();

}  // namespace tfrec
