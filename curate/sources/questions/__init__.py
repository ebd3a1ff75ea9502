"""The other table: questions with known answers, loaded, checked and split."""

from curate.sources.questions.load import assign_splits, load_questions
from curate.sources.questions.options import QuestionsOptions
from curate.sources.questions.summary import QuestionsSummary
from curate.sources.questions.table import QuestionsTable

__all__ = [
    "QuestionsOptions",
    "QuestionsSummary",
    "QuestionsTable",
    "assign_splits",
    "load_questions",
]
