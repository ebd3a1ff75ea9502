"""Questions with known answers: the recipe's block, loading, splits."""

from curate.questions.load import assign_splits, load_questions
from curate.questions.options import QuestionsOptions
from curate.questions.summary import QuestionsSummary
from curate.questions.table import QuestionsTable

__all__ = [
    "QuestionsOptions",
    "QuestionsSummary",
    "QuestionsTable",
    "assign_splits",
    "load_questions",
]
