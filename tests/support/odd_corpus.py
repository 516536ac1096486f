"""All odd datasets, each with the verdict of planning and of `dataset check`."""

from tests.support.odd_datasets import ODD
from tests.support.odd_descriptions import ODD_DESCRIPTIONS
from tests.support.odd_files import ODD_FILES

CORPUS = [*ODD, *ODD_DESCRIPTIONS, *ODD_FILES]
