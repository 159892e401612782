"""The server's half of Cognito's Secure Remote Password exchange, and what is stored instead of a password. Pure.

SRP-6a (RFC 5054) over the 3072-bit group with SHA-256 and Cognito's own key derivation, as the public clients have it
(amazon-cognito-identity-js, ``AuthenticationHelper``).
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass

# RFC 3526, group 15.
_N_HEX = (
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B"
    "302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE6"
    "49286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB9ED529077096966D"
    "670C354E4ABC9804F1746C08CA18217C32905E462E36CE3BE39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718"
    "3995497CEA956AE515D2261898FA051015728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7D"
    "B3970F85A6E1E4C7ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C"
    "BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF"
)
_N = int(_N_HEX, 16)
_G = 2
_INFO = b"Caldera Derived Key\x01"


def _padded(number: int) -> bytes:
    """Big-endian two's complement without superfluous bytes: as Java's BigInteger writes a positive number."""
    return number.to_bytes(number.bit_length() // 8 + 1)


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.sha256(data).digest())


_K = _hash(_padded(_N) + _padded(_G))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """What is kept of a password: enough to check it, not enough to use it."""

    salt: bytes
    value: int

    def matches(self, pool_name: str, user_id: str, password: str) -> bool:
        """Say whether this is the password, for the flows that send it."""
        return hmac.compare_digest(
            _padded(build_verifier(pool_name, user_id, password, self.salt).value), _padded(self.value)
        )


def build_verifier(pool_name: str, user_id: str, password: str, salt: bytes) -> Verifier:
    """Return what to keep of a password; ``pool_name`` is the pool's id without its region."""
    inner = hashlib.sha256(f"{pool_name}{user_id}:{password}".encode()).digest()
    return Verifier(salt=salt, value=pow(_G, _hash(_padded(int.from_bytes(salt)) + inner), _N))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """The server's side of one sign-in, between the challenge and its answer."""

    pool_name: str
    user_id: str
    salt: bytes
    public: int
    """B."""
    key: bytes
    secret_block: bytes

    def parameters(self) -> dict[str, str]:
        """Return the PASSWORD_VERIFIER challenge as clients read it."""
        return {
            "SALT": f"{int.from_bytes(self.salt):x}",
            "SRP_B": f"{self.public:x}",
            "SECRET_BLOCK": base64.b64encode(self.secret_block).decode(),
            "USER_ID_FOR_SRP": self.user_id,
        }

    def accepts(self, timestamp: str, signature: str) -> bool:
        """Say whether the client proved to know the password."""
        message = self.pool_name.encode() + self.user_id.encode() + self.secret_block + timestamp.encode()
        expected = base64.b64encode(hmac.new(self.key, message, hashlib.sha256).digest())
        return hmac.compare_digest(expected, signature.encode())


def start(pool_name: str, user_id: str, verifier: Verifier, client_public: str, random: bytes) -> Exchange:
    """Return the server's side of an exchange.

    ``client_public`` is A in hex; ``random`` 96 bytes: 32 for our secret, 64 for the block that is to be signed.

    Raises:
        ValueError: A is not a number, or one that would make the key known to who does not know the password.
    """
    big_a = int(client_public, 16)
    if big_a % _N == 0:
        raise ValueError("SRP_A is zero modulo N")
    secret = int.from_bytes(random[:32])
    big_b = (_K * verifier.value + pow(_G, secret, _N)) % _N
    u = _hash(_padded(big_a) + _padded(big_b))
    shared = pow(big_a * pow(verifier.value, u, _N), secret, _N)
    extracted = hmac.new(_padded(u), _padded(shared), hashlib.sha256).digest()
    return Exchange(
        pool_name=pool_name,
        user_id=user_id,
        salt=verifier.salt,
        public=big_b,
        key=hmac.new(extracted, _INFO, hashlib.sha256).digest()[:16],
        secret_block=random[32:96],
    )
