"""Recipes: a training from data to measured model as plain data, and one command for it."""

from tfrec_models.recipes.build_data import build_data
from tfrec_models.recipes.build_model import build_model
from tfrec_models.recipes.build_optimizer import build_optimizer
from tfrec_models.recipes.build_schema import build_schema
from tfrec_models.recipes.data_section import DataSection
from tfrec_models.recipes.describe import describe
from tfrec_models.recipes.evaluate import evaluate
from tfrec_models.recipes.model_section import ModelSection
from tfrec_models.recipes.optimizer_part import OptimizerPart
from tfrec_models.recipes.optimizer_section import OptimizerSection
from tfrec_models.recipes.recipe import Recipe
from tfrec_models.recipes.recipe_description import RecipeDescription
from tfrec_models.recipes.regularization_section import RegularizationSection
from tfrec_models.recipes.schedule_section import ScheduleSection
from tfrec_models.recipes.shipped_recipes import find_recipe, shipped_recipes
from tfrec_models.recipes.tables_section import TablesSection
from tfrec_models.recipes.train import train
from tfrec_models.recipes.training_section import TrainingSection

__all__ = [
    "DataSection",
    "ModelSection",
    "OptimizerPart",
    "OptimizerSection",
    "Recipe",
    "RecipeDescription",
    "RegularizationSection",
    "ScheduleSection",
    "TablesSection",
    "TrainingSection",
    "build_data",
    "build_model",
    "build_optimizer",
    "build_schema",
    "describe",
    "evaluate",
    "find_recipe",
    "shipped_recipes",
    "train",
]
