"""What all specs share: frozen, strict about scalars, no unknown keys."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Count", "Flag", "Index", "Name", "Number", "Part", "Share", "Spec"]

Count = Annotated[int, Field(strict=True, ge=1)]
"""A whole number, 1 or more."""

Index = Annotated[int, Field(strict=True, ge=0)]
"""A whole number, 0 or more."""

Flag = Annotated[bool, Field(strict=True)]
"""true or false, and none of YAML's other spellings."""

Number = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
"""A number greater than 0."""

Share = Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)]
"""A share, greater than 0 and at most 1."""

Part = Annotated[float, Field(strict=True, ge=0, lt=1, allow_inf_nan=False)]
"""A part of something that leaves some of it: 0 or more, less than 1."""

Name = Annotated[str, Field(min_length=1)]
"""A name that is not empty."""


class Spec(BaseModel):
    """Base of all specs: immutable, unknown keys refused, field docstrings carried into the schema."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=False,
        protected_namespaces=(),
    )
