"""Settings of the operator, from environment variables with the prefix NNUNET_OPERATOR_."""

import json
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from nnunet_api.kueue import NAME_PATTERN
from nnunet_api.pod_template import DEFAULT_SECURITY, SecurityContext
from nnunet_operator.kube.builders.options import JobOptions

ENV_PREFIX = "NNUNET_OPERATOR_"

Names = Annotated[tuple[str, ...], NoDecode]
"""Names in one string, separated by commas."""
OwnedClaims = Annotated[str, Field(max_length=320, pattern=r"^([-a-z0-9*?]+/)?[-a-z0-9.*?]+(:[0-9]{1,10})?$")]


class SettingsError(Exception):
    """A setting is missing or wrong; the message names the variable, its value and what is allowed."""


class Settings(BaseSettings):
    """All settings; each field's variable is its name in capitals behind NNUNET_OPERATOR_."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True, use_attribute_docstrings=True)

    trainer_image: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^\S+$")]
    """Image of the trainer pods where a training names none. Required."""
    trainer_image_pull_secrets: Names = ()
    """Names of Secrets with which nodes pull the trainer image, separated by commas."""
    owned_claims: Annotated[tuple[OwnedClaims, ...], NoDecode] = ("nnunet-*",)
    """Claims that Kubernetes may give to a group (fsGroup), with all files on them, when a training begins:
    [NAMESPACE/]NAME[:GROUP], separated by commas, where * stands for anything and the first that fits a claim counts.
    Without GROUP it is the fsGroup of SECURITY_CONTEXT. Others have to be writable for the trainer's user or group
    already."""
    security_context: Annotated[SecurityContext, NoDecode] = DEFAULT_SECURITY
    """As whom trainer pods run where a training does not say: spec.podTemplate.securityContext of a training, as JSON.
    What it leaves out is left to cluster and image."""
    finishing_priority_class: Annotated[str, Field(max_length=63, pattern=rf"^$|{NAME_PATTERN}")] = ""
    """WorkloadPriorityClass of Kueue for verification and evaluation, so that a trained model does not wait for its
    score behind the folds of others. Empty: that of the training."""
    watch_namespaces: Names = ()
    """Namespaces to serve, separated by commas. Empty: the whole cluster."""
    progress_poll_seconds: Annotated[float, Field(ge=1, le=3600)] = 15.0
    """How often running trainers are asked for their progress, seconds."""
    resync_seconds: Annotated[float, Field(ge=10, le=86400)] = 300.0
    """How often everything is listed anew, in case a watch missed something, seconds."""
    workers: Annotated[int, Field(ge=1, le=64)] = 16
    """How many trainings are looked after at the same time."""
    request_timeout_seconds: Annotated[float, Field(ge=1, le=300)] = 30.0
    """Time limit of a request to the API server, seconds."""
    termination_grace_period_seconds: Annotated[int, Field(ge=1, le=3600)] = 120
    """Time that a trainer has to save its checkpoint when it is stopped, seconds."""
    scrape_annotations: bool = False
    """Announce the pods that train by the annotations prometheus.io/scrape, port and path."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least level of what is logged: DEBUG, INFO, WARNING or ERROR."""
    log_format: Literal["json", "text"] = "json"
    """json: one object a line, for log collectors; text: for people."""
    bind_address: str = "0.0.0.0"
    """Address that the HTTP endpoints listen on."""
    metrics_port: Annotated[int, Field(ge=1, le=65535)] = 9090
    """Port of /metrics."""
    health_port: Annotated[int, Field(ge=1, le=65535)] = 8081
    """Port of /livez and /readyz."""

    @field_validator("trainer_image_pull_secrets", "owned_claims", "watch_namespaces", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @field_validator("security_context", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    def options(self) -> JobOptions:
        """Return the part that Jobs and decisions depend on."""
        return JobOptions(
            trainer_image=self.trainer_image,
            termination_grace_period_seconds=self.termination_grace_period_seconds,
            progress_poll_seconds=self.progress_poll_seconds,
            scrape_annotations=self.scrape_annotations,
            image_pull_secrets=self.trainer_image_pull_secrets,
            owned_claims=self.owned_claims,
            security=self.security_context,
            finishing_priority_class=self.finishing_priority_class,
        )


def load_settings() -> Settings:
    """Return the settings of this process's environment.

    Raises SettingsError with one line for each wrong variable.
    """
    try:
        return Settings()  # pydantic-settings fills the fields from the environment
    except ValidationError as error:
        lines = [_line(problem["loc"], problem["msg"], problem.get("input")) for problem in error.errors()]
        raise SettingsError("\n".join(lines)) from None


def _line(location: tuple[int | str, ...], problem: str, value: Any) -> str:
    variable = ENV_PREFIX + str(location[0]).upper()
    if problem == "Field required":
        return f"{variable} is not set, and it has no default"
    return f"{variable}={value}: {problem[0].lower()}{problem[1:]}"


def describe_settings() -> str:
    """Return a table of all variables with meaning and default, for --help."""
    lines = []
    for name, field in Settings.model_fields.items():
        default = "" if field.is_required() else f" [{_shown(field.default)}]"
        lines.append(f"  {ENV_PREFIX}{name.upper()}{default}\n      {field.description}")
    return "\n".join(lines)


def _shown(default: Any) -> str:
    if isinstance(default, SecurityContext):
        return default.model_dump_json(by_alias=True, exclude_defaults=True)
    return (
        ",".join(default) if isinstance(default, tuple) else f"{default:g}" if isinstance(default, float) else default
    )
