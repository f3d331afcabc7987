"""Compares an answer with the model that the OpenAPI document shows for it."""

from typing import Any

from pydantic import BaseModel


def as_documented(model: type[BaseModel], answer: object) -> Any:
    """Return what `model` documents of `answer`, as it would be written: the same as `answer` if that is all of it.

    Raises ValidationError where a required field is missing or is no value of its kind.
    """
    return model.model_validate(answer).model_dump(mode="json", by_alias=True, exclude_unset=True)
