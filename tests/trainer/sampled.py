"""Imported by the process that trainers are forked from: the fingerprint of a dataset is drawn from fewer intensities.

nnU-Net draws 100 million of them however small a dataset is, with replacement: of some thousand voxels that is 7 s of a
core in each planning, which shift percentiles by nothing. A trainer that is started anew, as in the pod, draws all.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

MODULE = "nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor"
DRAWN = 100_000


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        extractor: Any = module.DatasetFingerprintExtractor
        begin = extractor.__init__

        def begin_with_fewer(self: Any, *arguments: Any, **named: Any) -> None:
            begin(self, *arguments, **named)
            assert self.num_foreground_voxels_for_intensitystats > DRAWN
            self.num_foreground_voxels_for_intensitystats = DRAWN

        extractor.__init__ = begin_with_fewer


class _Finder(MetaPathFinder):
    """nnU-Net reads its folders from the environment when it is imported, so that can't be done beforehand."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != MODULE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        assert spec is not None and spec.origin is not None
        spec.loader = _Loader(fullname, spec.origin)
        return spec


sys.meta_path.insert(0, _Finder())
