package sites

import (
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"strconv"
	"strings"

	"github.com/go-crypt/x/crypt"
)

// The hashes below are taken over from other programs and checked, never made:
// at the next success each is replaced by one of ours.

// crypt64 is the alphabet of crypt(3).
const crypt64 = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func isCrypt64(s string, least, most int) bool {
	return len(s) >= least && len(s) <= most && strings.Trim(s, crypt64) == ""
}

// parseMD5Crypt reads $1$salt$hash of crypt(3).
func parseMD5Crypt(part []string) (passwordHash, error) {
	if len(part) != 4 || !isCrypt64(part[2], 1, 8) || !isCrypt64(part[3], 22, 22) {
		return passwordHash{}, errHash
	}
	return weakHash(part[3], func(password string) []byte {
		return crypt.KeyMD5Crypt([]byte(password), []byte(part[2]))
	}), nil
}

// Rounds of SHA-crypt that a hash does not name, and the fewest there are.
const (
	defaultSHARounds = 5000
	leastSHARounds   = 1000
)

// maxSHAPassword is how long a password of SHA-crypt may be, in octets: each round
// reads all of it, so that long guesses at a hash of many rounds would take many
// seconds.
const maxSHAPassword = 256

// parseSHACrypt reads $5$[rounds=N$]salt$hash of crypt(3), and $6$.
func parseSHACrypt(part []string) (passwordHash, error) {
	rounds := defaultSHARounds
	if text, named := strings.CutPrefix(part[2], "rounds="); named && len(part) == 5 {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil || rounds < leastSHARounds || rounds > maxHashRounds {
			return passwordHash{}, errHash
		}
		part = append(part[:2:2], part[3:]...)
	}
	newHash, length := sha512.New, 86
	if part[1] == "5" {
		newHash, length = sha256.New, 43
	}
	// The salt may hold anything but a colon and a line end, by its inventor's words.
	if len(part) != 4 || len(part[2]) > 16 || strings.ContainsAny(part[2], ":\n") || !isCrypt64(part[3], length, length) {
		return passwordHash{}, errHash
	}
	return weakHash(part[3], func(password string) []byte {
		if len(password) > maxSHAPassword {
			return nil
		}
		return crypt.KeySHACrypt(newHash, []byte(password), []byte(part[2]), rounds)
	}), nil
}

// parseScheme reads a hash under the name that Dovecot has for its scheme, which
// may say how it is encoded.
func parseScheme(scheme, text string) (passwordHash, error) {
	kind := map[string][]string{
		"CRYPT": {"1", "2a", "2b", "2y", "5", "6"}, "MD5-CRYPT": {"1"}, "MD5": {"1"}, "BLF-CRYPT": {"2a", "2b", "2y"},
		"SHA256-CRYPT": {"5"}, "SHA512-CRYPT": {"6"}, "ARGON2I": {"argon2i"}, "ARGON2ID": {"argon2id"},
	}[scheme]
	for _, k := range kind {
		if strings.HasPrefix(text, "$"+k+"$") {
			return parseCrypt(text)
		}
	}
	scheme, encoding, _ := strings.Cut(scheme, ".")
	switch scheme {
	case "PBKDF2":
		return parsePBKDF2(text)
	case "SHA", "SHA1", "SSHA":
		return parseDigest(sha1.New, scheme == "SSHA", encoding, text)
	case "SHA256", "SSHA256":
		return parseDigest(sha256.New, scheme == "SSHA256", encoding, text)
	case "SHA512", "SSHA512":
		return parseDigest(sha512.New, scheme == "SSHA512", encoding, text)
	case "PLAIN", "CLEAR", "CLEARTEXT", "PLAIN-TRUNC":
		return passwordHash{}, errPlain
	}
	return passwordHash{}, errHash
}

// parseDigest reads a digest of the password and the salt behind it, if there is
// one: RFC 2307's userPassword as it was extended.
func parseDigest(newHash func() hash.Hash, salted bool, encoding, text string) (passwordHash, error) {
	decode := base64.StdEncoding.Strict().DecodeString
	switch encoding {
	case "", "B64", "BASE64":
	case "HEX":
		decode = hex.DecodeString
	default:
		return passwordHash{}, errHash
	}
	raw, err := decode(text)
	size := newHash().Size()
	if err != nil || len(raw) < size || salted != (len(raw) > size) || len(raw) > size+64 {
		return passwordHash{}, errHash
	}
	return weakHash(string(raw[:size]), func(password string) []byte {
		h := newHash()
		h.Write([]byte(password))
		h.Write(raw[size:])
		return h.Sum(nil)
	}), nil
}

// parsePBKDF2 reads Dovecot's $1$salt$rounds$key, with HMAC-SHA-1 (RFC 8018).
func parsePBKDF2(text string) (passwordHash, error) {
	part := strings.Split(text, "$")
	if len(part) != 5 || part[0] != "" || part[1] != "1" || part[2] == "" || len(part[2]) > 64 {
		return passwordHash{}, errHash
	}
	rounds, err := strconv.Atoi(part[3])
	if err != nil || rounds < 1 || rounds > maxHashRounds {
		return passwordHash{}, errHash
	}
	key, err := hex.DecodeString(part[4])
	if err != nil || len(key) != sha1.Size {
		return passwordHash{}, errHash
	}
	return weakHash(string(key), func(password string) []byte {
		derived, _ := pbkdf2.Key(sha1.New, password, []byte(part[2]), rounds, sha1.Size) // none where it is forbidden
		return derived
	}), nil
}

// weakHash is one that is equal to what derive makes of the password.
func weakHash(want string, derive func(password string) []byte) passwordHash {
	return passwordHash{weak: true, check: func(password string) bool {
		return subtle.ConstantTimeCompare(derive(password), []byte(want)) == 1
	}}
}
