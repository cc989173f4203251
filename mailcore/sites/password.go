package sites

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Parameters of the hashes we make: OWASP's first choice for argon2id.
const (
	hashMemory  = 19 * 1024 // KiB
	hashTime    = 2
	hashThreads = 1
	hashSalt    = 16 // octets
	hashKey     = 32 // octets
)

// Limits on hashes made elsewhere, so that a row cannot exhaust the machine.
const (
	maxHashMemory  = 256 * 1024 // KiB
	maxHashTime    = 16
	maxHashThreads = 16
	maxBcryptCost  = 14
	maxHashRounds  = 1_000_000 // of SHA-crypt and PBKDF2
)

// leastBcryptCost is what is strong enough to be kept.
const leastBcryptCost = 10

const maxPassword = 1024 // octets

var (
	errHash  = errors.New("no hash of a kind that can be checked, or not within limits")
	errPlain = errors.New("this scheme keeps the password itself: add the login with its password")
)

// hashSlots is how many hashes are computed at once: they are all processor
// and memory.
func hashSlots() int { return max(2, runtime.GOMAXPROCS(0)) }

// A passwordHash is a parsed hash. It prints without what is in it.
type passwordHash struct {
	weak  bool // cheaper to guess than those we make
	check func(password string) bool
}

func (h passwordHash) verify(password string) bool { return h.check(password) }

func checkPassword(name, password string) error {
	switch {
	case password == "":
		return invalid("login", name, "the password is empty")
	case len(password) > maxPassword:
		return invalid("login", name, "the password is longer than %d octets", maxPassword)
	case strings.ContainsAny(password, "\x00\r\n"):
		return invalid("login", name, "the password has a NUL or a line end")
	}
	return nil
}

// hashPassword makes a PHC string with a new salt.
func hashPassword(password string) string {
	salt := make([]byte, hashSalt)
	rand.Read(salt) // never fails
	key := argon2.IDKey([]byte(password), salt, hashTime, hashMemory, hashThreads, hashKey)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		hashMemory, hashTime, hashThreads, b64.EncodeToString(salt), b64.EncodeToString(key))
}

// dummyHash costs as much as a real one and fits no password.
func dummyHash() passwordHash {
	sum := argon2Sum{derive: argon2.IDKey, memory: hashMemory, time: hashTime, threads: hashThreads,
		salt: make([]byte, hashSalt), key: make([]byte, hashKey)}
	return passwordHash{check: sum.verify}
}

// parseHash accepts the hashes that verify can check: those of crypt(3) that
// begin with a dollar sign, or Dovecot's with the name of their scheme in braces.
// Its error does not show the hash.
func parseHash(s string) (passwordHash, error) {
	if !strings.HasPrefix(s, "{") {
		return parseCrypt(s)
	}
	scheme, rest, ok := strings.Cut(s[1:], "}")
	if !ok {
		return passwordHash{}, errHash
	}
	return parseScheme(strings.ToUpper(scheme), rest)
}

// parseCrypt reads a hash that names its own kind.
func parseCrypt(s string) (passwordHash, error) {
	part := strings.Split(s, "$")
	if len(part) < 3 || part[0] != "" {
		return passwordHash{}, errHash
	}
	switch part[1] {
	case "argon2id", "argon2i":
		return parseArgon2(part)
	case "2a", "2b", "2y":
		return parseBcrypt(s)
	case "1":
		return parseMD5Crypt(part)
	case "5", "6":
		return parseSHACrypt(part)
	}
	return passwordHash{}, errHash
}

func parseBcrypt(s string) (passwordHash, error) {
	cost, err := bcrypt.Cost([]byte(s))
	if err != nil || cost > maxBcryptCost || len(s) != 60 {
		return passwordHash{}, errHash
	}
	return passwordHash{weak: cost < leastBcryptCost, check: func(password string) bool {
		return bcrypt.CompareHashAndPassword([]byte(s), []byte(password)) == nil
	}}, nil
}

// argon2Sum is a hash of RFC 9106.
type argon2Sum struct {
	derive       func(password, salt []byte, time, memory uint32, threads uint8, length uint32) []byte
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

func parseArgon2(part []string) (passwordHash, error) {
	if len(part) != 6 || part[2] != "v=19" {
		return passwordHash{}, errHash
	}
	sum := argon2Sum{derive: argon2.IDKey}
	if part[1] == "argon2i" {
		sum.derive = argon2.Key
	}
	n, err := fmt.Sscanf(part[3]+";", "m=%d,t=%d,p=%d;", &sum.memory, &sum.time, &sum.threads)
	if err != nil || n != 3 || sum.memory > maxHashMemory || sum.time < 1 || sum.time > maxHashTime ||
		sum.threads < 1 || sum.threads > maxHashThreads || sum.memory < 8*uint32(sum.threads) {
		return passwordHash{}, errHash
	}
	b64 := base64.RawStdEncoding.Strict()
	if sum.salt, err = b64.DecodeString(part[4]); err != nil || len(sum.salt) < 8 || len(sum.salt) > 64 {
		return passwordHash{}, errHash
	}
	if sum.key, err = b64.DecodeString(part[5]); err != nil || len(sum.key) < 16 || len(sum.key) > 64 {
		return passwordHash{}, errHash
	}
	weak := part[1] != "argon2id" || sum.memory*sum.time < hashMemory*hashTime
	return passwordHash{weak: weak, check: sum.verify}, nil
}

func (h argon2Sum) verify(password string) bool {
	key := h.derive([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1
}
