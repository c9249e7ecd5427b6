"""The frozen types of `cloud.yaml`: what the operator says, with every default filled in.

Where one value says it all, the file may say just that: an address for a controller, a VIP, an arbiter or a BMC, a
subnet for a network. The validators here turn these short forms into the long one before anything is checked.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from quorate.model.words import found

FORMS = {
    r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$": "a name: a small letter, then small letters, digits and '-', at most 63",
    r"^[A-Za-z0-9._-]{1,15}$": "an interface name: at most 15 letters, digits, '.', '_' and '-'",
    r"^[A-Za-z0-9._@-]{1,64}$": "an account name: letters, digits, '.', '_', '@' and '-'",
    r"^[A-Za-z0-9._:-]{1,128}$": "an identifier: letters, digits, '.', '_', ':' and '-'",
    r"^[A-Za-z0-9][A-Za-z0-9.:_-]{0,252}$": "a host name or an address",
}
"""What each pattern of this file asks for, in words."""
_NAME, _INTERFACE, _ACCOUNT, _IDENTIFIER, _HOST = FORMS

Name = Annotated[str, StringConstraints(pattern=_NAME)]
"""A DNS label that begins with a letter: controllers and clouds are used as host and cluster names."""


def _address(value: Any) -> IPv4Address:
    """Read an address; a bare number is none, though `ipaddress` would take it."""
    if isinstance(value, IPv4Address):
        return value
    try:
        return IPv4Address(value if isinstance(value, str) else "")
    except ValueError:
        raise PydanticCustomError(
            "address", "{found} is not an IPv4 address", {"found": found(value), "allowed": "an address like 10.0.0.11"}
        ) from None


def _subnet(value: Any) -> IPv4Network:
    """Read a subnet in CIDR form; where host bits are set, say which subnet was probably meant."""
    if isinstance(value, IPv4Network):
        return value
    text = value if isinstance(value, str) and "/" in value else ""
    try:
        network = IPv4Network(text, strict=False)
    except ValueError:
        problem = {"found": found(value), "allowed": "a subnet like 10.0.0.0/24"}
        raise PydanticCustomError("subnet", "{found} is not a subnet in CIDR form", problem) from None
    if text.partition("/")[0] != str(network.network_address):
        problem = {"found": found(value), "allowed": str(network)}
        raise PydanticCustomError("subnet", "{found} is an address inside a subnet, not a subnet", problem)
    return network


def _at_management(value: Any) -> Any:
    return {"management": value} if isinstance(value, str) else value


Address = Annotated[IPv4Address, BeforeValidator(_address)]
Subnet = Annotated[IPv4Network, BeforeValidator(_subnet)]
Port = Annotated[int, Field(ge=1, le=65535)]
Addresses = Annotated[
    dict[Name, Address],
    BeforeValidator(_at_management, json_schema_input_type=IPv4Address | dict[Name, IPv4Address]),
]


def _alternatives(annotation: Any) -> list[Any]:
    """The types of a union, without what annotates them. A list, as annotations need not be hashable."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return [kind for one in get_args(annotation) for kind in _alternatives(one)]
    return [annotation]


class Section(BaseModel):
    """A mapping of the cloud file: unknown keys are mistakes and values never change."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=False, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse `true` where a number is due: Python would take it for 1."""
        if isinstance(value, bool):
            kinds = _alternatives(cls.model_fields[str(info.field_name)].annotation)
            if (int in kinds or float in kinds) and bool not in kinds:
                problem = {"found": found(value), "allowed": "a number"}
                raise PydanticCustomError("number", "{found} is not a number", problem)
        return value


class Brief(Section):
    """A section that may be written as the one value that it cannot do without."""

    brief: ClassVar[str]
    brief_schema: ClassVar[dict[str, Any]] = {"type": "string", "format": "ipv4"}

    @model_validator(mode="before")
    @classmethod
    def _lengthen(cls, value: Any) -> Any:
        return {cls.brief: value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Allow both forms."""
        long = handler(core_schema)
        short = {**cls.brief_schema, "description": f"Short form: only `{cls.brief}`."}
        return {"anyOf": [short, long], "description": long.get("description", "")}


class Spec(Section):
    """A system's own section below `systems:`. Each system derives its own.

    `optional`: it is part of the cloud only if the file names it; the others are unless the file says otherwise.
    `in_lab`: what the cloud file of a lab says of it, whose machines have not what real ones have.
    """

    optional: ClassVar[bool] = False
    in_lab: ClassVar[dict[str, Any]] = {}

    enabled: bool = Field(default=True, description="False leaves this system out of the cloud.")


class Network(Brief):
    """A network that the controllers share. Short form: its subnet."""

    brief = "subnet"
    brief_schema = {"type": "string", "format": "ipv4network"}

    subnet: Subnet = Field(description="The subnet in CIDR form; every controller's address lies in it.")
    interface: str = Field(
        default="eth0",
        pattern=_INTERFACE,
        description="The interface that carries this network on every controller.",
    )
    switches: tuple[Name, ...] = Field(
        default=(),
        description="The switches at which every controller has a port for it; with several, a bond over all of them. "
        "They are connected with each other. Unsaid, nobody knows, and `quorate check` does not count them.",
    )


class Vip(Brief):
    """A virtual IP: one address that always belongs to exactly one living controller. Short form: its address."""

    brief = "address"

    address: Address = Field(description="The address, inside its network's subnet and used by nothing else.")
    network: Name = Field(default="management", description="The network whose interface carries the address.")


class FencingDefaults(Section):
    """What the controllers' BMCs have in common, so that it need not be repeated for each; a controller's own wins."""

    agent: Literal["redfish"] | None = Field(default=None, description="How the BMCs are spoken to.")
    port: Port | None = Field(default=None, description="The port of every BMC.")
    system: str | None = Field(
        default=None, pattern=_IDENTIFIER, description="The computer system at every BMC, below /redfish/v1/Systems."
    )
    username: str | None = Field(default=None, pattern=_ACCOUNT, description="The account at every BMC.")
    tls_verify: bool | None = Field(default=None, description="Verify the BMCs' certificates.")


class Fencing(Brief):
    """The device that can cut a controller's power. Its password is `fencing.CONTROLLER` of `secrets.yaml`.

    Short form: the BMC's address.
    """

    brief = "address"

    agent: Literal["redfish"] = Field(default="redfish", description="How the BMC is spoken to.")
    address: Address = Field(description="Address of the management controller (BMC).")
    port: Port = Field(default=443, description="Port of the BMC.")
    system: str = Field(
        default="1", pattern=_IDENTIFIER, description="Identifier of the computer system below /redfish/v1/Systems."
    )
    username: str = Field(default="admin", pattern=_ACCOUNT, description="The account at the BMC.")
    tls_verify: bool = Field(default=True, description="Verify the BMC's certificate.")


class Controller(Brief):
    """A machine of the control plane. Short form: its address on the management network."""

    brief = "addresses"

    addresses: Addresses = Field(
        description="The controller's address on each network; one address alone is that on `management`."
    )
    fencing: Fencing | None = Field(default=None, description="How its power is cut; without it no VIP is safe.")
    ssh_host: str | None = Field(
        default=None, pattern=_HOST, description="Where ssh reaches it; default: its management address."
    )


class Arbiter(Brief):
    """A voter without data, in a third place, that makes an even number of controllers odd. Short form: its address."""

    brief = "address"

    address: Address = Field(description="Where the controllers reach it.")


class Ssh(Section):
    """How the operator reaches the controllers; what is not said here comes from the operator's own ssh config."""

    user: str | None = Field(default=None, pattern=_ACCOUNT, description="The account on the controllers.")
    port: Port | None = Field(default=None, description="The controllers' ssh port.")
    identity: str | None = Field(default=None, min_length=1, description="Private key file, relative to cloud.yaml.")
    known_hosts: str | None = Field(default=None, min_length=1, description="Known hosts file, relative to cloud.yaml.")
    sudo: bool = Field(default=False, description="Run as root through `sudo -n`.")


class Objectives(Section):
    """How long each function that clients see may be out, in seconds, when any one controller is lost."""

    token_validation: float = Field(default=6.0, gt=0, description="Nobody can validate a token.")
    database_write: float = Field(default=6.0, gt=0, description="No write to the database succeeds.")
    cache: float = Field(default=2.0, gt=0, description="A cached value can be neither read nor written.")
    virtual_ip: float = Field(default=4.0, gt=0, description="Nothing answers at the virtual IP.")
    messaging: float = Field(default=6.0, gt=0, description="No message is confirmed.")
    rpc: float = Field(default=10.0, gt=0, description="No service answers another.")
    api: float = Field(default=6.0, gt=0, description="An OpenStack API answers nobody.")


class Rate(Section):
    """How often something fails, and for how long it is then away, on average."""

    mttf_hours: float = Field(gt=0, description="Hours from its repair to its next failure (MTTF).")
    mttr_hours: float = Field(gt=0, description="Hours from its failure until it is back (MTTR).")


def _rate(mttf: float, mttr: float, source: str) -> Any:
    """A default, with where it comes from: people weigh it by that."""
    return Field(
        default=Rate(mttf_hours=mttf, mttr_hours=mttr), description=f"Default: {mttf:g} and {mttr:g}: {source}"
    )


class FailureRates(Section):
    """How often parts fail, by kind, and by name where one differs from its kind. Only expected downtimes rest on it.

    Where no study is named the figure is ours, and said to be: measure yours.
    """

    controller: Rate = _rate(
        15800, 4, "1,000 failures a year among 1,800 machines (J. Dean, Google I/O 2008); the repair is ours."
    )
    disk: Rate = _rate(
        558000, 24, "1.57 % a year (Backblaze Drive Stats for 2024); the repair, with copying all back, is ours."
    )
    link: Rate = _rate(876000, 4, "an interface with its cable, 1 % a year; ours.")
    switch: Rate = _rate(
        109000,
        4,
        "2 % in three months (R. Singh et al., Surviving switch failures in cloud datacenters, 2021); the repair is "
        "ours.",
    )
    bmc: Rate = _rate(17500, 24, "it hangs every other year and is seen to the day after; ours.")
    arbiter: Rate = _rate(15800, 4, "as a controller.")
    process: Rate = _rate(
        2893,
        0.5,
        "failures of software that no restart mends (T. A. Nguyen et al., A Comprehensive Availability Modeling and "
        "Analysis of a Virtualized Servers System, The Scientific World Journal, 2014, table 3).",
    )
    keys: Rate = _rate(
        876000, 1, "a folder of keys that is emptied or spoilt, 1 % a year; `quorate apply` brings it back; ours."
    )
    secrets: Rate = _rate(876000, 24, "the operator's `secrets.yaml` with all its copies, 1 % a year; ours.")
    failure_domain: Rate = _rate(
        19700, 6, "20 racks of 45 fail in a year, a power distribution unit is away for 6 h (J. Dean, 2008)."
    )
    parts: dict[str, Rate] = Field(
        default_factory=dict, description="Of single parts, by the names that `quorate check --what-if` knows."
    )


class Cloud(Section):
    """The whole file. `systems` holds the Spec of every known system by name, `enabled: false` ones too."""

    cloud: Name = Field(description="The name of the cloud, also of its cluster.")
    os: Literal["debian-13", "debian-12"] = Field(default="debian-13", description="What the controllers run.")
    networks: dict[Name, Network] = Field(description="The controllers' networks; `management` must be among them.")
    vips: dict[Name, Vip] = Field(description="The virtual IPs; `api` must be among them.")
    fencing: FencingDefaults | None = Field(default=None, description="What all controllers' BMCs have in common.")
    controllers: dict[Name, Controller] = Field(
        min_length=1, description="The machines of the control plane, in the order of everything that goes one by one."
    )
    arbiter: Arbiter | None = Field(default=None, description="The voter that an even number of controllers needs.")
    failure_domains: dict[Name, Annotated[tuple[Name, ...], Field(min_length=1)]] = Field(
        default_factory=dict,
        description="What controllers share and are lost with (a rack, a power feed, a release): name → controllers.",
    )
    failure_rates: FailureRates = Field(
        default=FailureRates(), description="How often parts fail and how soon they are back, where it is known better."
    )
    ssh: Ssh = Field(default=Ssh(), description="How the operator reaches the controllers.")
    objectives: Objectives = Field(
        default=Objectives(), description="How long what clients see may be out, in seconds, when a controller is lost."
    )
    systems: dict[str, Any] = Field(
        default_factory=dict, description="What differs from the defaults in the systems that make up the cloud."
    )

    @model_validator(mode="before")
    @classmethod
    def _share_fencing(cls, data: Any) -> Any:
        """Give each controller's fencing what the cloud says for all."""
        if not isinstance(data, dict) or not isinstance(data.get("controllers"), dict) or not data.get("fencing"):
            return data
        try:
            common = FencingDefaults.model_validate(data["fencing"]).model_dump(exclude_none=True)
        except ValidationError:
            return data  # reported at the section itself, once
        return {**data, "controllers": {name: _fenced(one, common) for name, one in data["controllers"].items()}}

    @field_serializer("systems")
    def _serialize_systems(self, systems: dict[str, Any]) -> dict[str, Any]:
        return {
            name: spec.model_dump(mode="json") if isinstance(spec, Spec) else spec for name, spec in systems.items()
        }

    def address(self, controller: str, network: str = "management") -> str:
        """Say the controller's address on the network, as text."""
        return str(self.controllers[controller].addresses[network])

    @property
    def names(self) -> tuple[str, ...]:
        """The controllers' names in the file's order, the order of everything that goes one by one."""
        return tuple(self.controllers)

    @property
    def management(self) -> Network:
        """The network on which the controllers talk to each other."""
        return self.networks["management"]

    @property
    def is_fenced(self) -> bool:
        """Whether the power of every controller can be cut; fencing of some would only look safe."""
        return all(controller.fencing for controller in self.controllers.values())

    @property
    def vip(self) -> str:
        """The address at which clients find every API."""
        return str(self.vips["api"].address)


def _fenced(controller: Any, common: dict[str, Any]) -> Any:
    """Put the common values below the controller's own fencing, where it has one."""
    own = controller.get("fencing") if isinstance(controller, dict) else None
    if isinstance(own, str):
        own = {"address": own}
    return {**controller, "fencing": {**common, **own}} if isinstance(own, dict) else controller
