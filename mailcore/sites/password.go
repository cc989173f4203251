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
)

const maxPassword = 1024 // octets

var errHash = errors.New("a hash is $argon2id$v=19$… or $2a$, $2b$, $2y$ of bcrypt, within limits")

// hashSlots is how many hashes are computed at once: they are all processor
// and memory.
func hashSlots() int { return max(2, runtime.GOMAXPROCS(0)) }

// A phc is a parsed hash in PHC string format. It prints as its kind.
type phc struct {
	kind string // argon2id or bcrypt
	sum  func() phcSum
}

type phcSum struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
	bcrypt       []byte
}

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
func dummyHash() phc {
	return phc{kind: "argon2id", sum: func() phcSum {
		return phcSum{memory: hashMemory, time: hashTime, threads: hashThreads,
			salt: make([]byte, hashSalt), key: make([]byte, hashKey)}
	}}
}

// parseHash accepts the hashes that verify can check. Its error does not show
// the hash.
func parseHash(s string) (phc, error) {
	if strings.HasPrefix(s, "$2") {
		cost, err := bcrypt.Cost([]byte(s))
		if err != nil || cost > maxBcryptCost || len(s) != 60 {
			return phc{}, errHash
		}
		return phc{kind: "bcrypt", sum: func() phcSum { return phcSum{bcrypt: []byte(s)} }}, nil
	}
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != "v=19" {
		return phc{}, errHash
	}
	var sum phcSum
	n, err := fmt.Sscanf(part[3]+";", "m=%d,t=%d,p=%d;", &sum.memory, &sum.time, &sum.threads)
	if err != nil || n != 3 || sum.memory > maxHashMemory || sum.time < 1 || sum.time > maxHashTime ||
		sum.threads < 1 || sum.threads > maxHashThreads || sum.memory < 8*uint32(sum.threads) {
		return phc{}, errHash
	}
	b64 := base64.RawStdEncoding.Strict()
	if sum.salt, err = b64.DecodeString(part[4]); err != nil || len(sum.salt) < 8 || len(sum.salt) > 64 {
		return phc{}, errHash
	}
	if sum.key, err = b64.DecodeString(part[5]); err != nil || len(sum.key) < 16 || len(sum.key) > 64 {
		return phc{}, errHash
	}
	return phc{kind: "argon2id", sum: func() phcSum { return sum }}, nil
}

// verify reports whether the password is that of the hash.
func (h phc) verify(password string) bool {
	sum := h.sum()
	if sum.bcrypt != nil {
		return bcrypt.CompareHashAndPassword(sum.bcrypt, []byte(password)) == nil
	}
	key := argon2.IDKey([]byte(password), sum.salt, sum.time, sum.memory, sum.threads, uint32(len(sum.key)))
	return subtle.ConstantTimeCompare(key, sum.key) == 1
}
