package sites

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/internal/interop"
)

// The password of every vector, outside ASCII for the programs that might mind.
const vectorPassword = "pässword"

// vectors are hashes that other programs made of vectorPassword.
var vectors = map[string]string{
	"doveadm SHA512-CRYPT":           "{SHA512-CRYPT}$6$/r7vQMz8LGm0crGn$yR8mzqJgN/BVxXbObUTHIihi9a4G/wrMaT8QxpRSNns5SMSVP08BcMcNYbNlS.eIxSp2ilGYUkVPwPGiOjHGu1",
	"doveadm SHA512-CRYPT -r 1000":   "{SHA512-CRYPT}$6$rounds=1000$A8FDDxkaUnxLoq4Y$wUwsuNJ03pBzr4.UvrKFgk6b1Jo4mKq8/qTVFhAwH3EibcMwVs4VeZB0zytw92nlY5Ev4TC/x5EPaYDl19hWg0",
	"doveadm SHA256-CRYPT":           "{SHA256-CRYPT}$5$OwuynisTYljE.D06$n7lfgbEmHaW1A3qJOtOINpOUIGroQr4KD84Fxoc18B3",
	"doveadm SHA256-CRYPT -r 1000":   "{SHA256-CRYPT}$5$rounds=1000$9n..SLljamdxI8OW$Nw64hhJeRfqm3GXOID3TUalf5obAGQq69BlS11ssku2",
	"doveadm MD5-CRYPT":              "{MD5-CRYPT}$1$qM3oJjCG$n4SaKsCHQfOiVNngoRZos0",
	"doveadm BLF-CRYPT":              "{BLF-CRYPT}$2y$05$JzeXPSfoflxDcKMFKm8pMe7N6UqauX0fvxqI1tHhrMp6DwDygxHHK",
	"doveadm ARGON2ID":               "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$1gjEBPhNAs9wuuUdcv6uDA$26BkkIaXrfSxQmoQcKY/ODb6zA3q1uv804G7SDsxqUk",
	"doveadm ARGON2I":                "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$GDdGSkR1PQP+yHuQaMj4Ig$FB4Q7dvOmJnKH5JePbLs+QymxScqPblgMjd4pWy3iyk",
	"doveadm SSHA":                   "{SSHA}h8T4jWKd6M+PmCFCZqXCw5PvjPtXEzNh",
	"doveadm SSHA.hex":               "{SSHA.hex}02be888e5c56b2154df11699de6a5752921c5dd455b0c74d",
	"doveadm SSHA256":                "{SSHA256}2gx1jMGRTtV/jLMe5OrffCq56KQz7XnWQGpicwLBHOmhmMTe",
	"doveadm SSHA512":                "{SSHA512}cCI8j1ejCP1pCieA4v59rpIbG2NiooeIooGvGpubJ+CKUgNxGlPiiEqP5kMZ0x8EPuxcWSW8ba/mKH34ri46KhFqqXo=",
	"doveadm SHA":                    "{SHA}I7dElEdfX4dJgLdnbVEeI9iG2mQ=",
	"doveadm SHA256":                 "{SHA256}NHgme1YSeRtAmIkGs6eJfrarUB4EuV7TL5nQr99mnZw=",
	"doveadm SHA512":                 "{SHA512}KF3icbSeAO9oGc8Ku/AxXpfCXLo2FhZ8dw78Umxki03hH0sA3HH67TOjEse6g2kNPtFKqq32tiKqSJlv8H7IpA==",
	"doveadm PBKDF2":                 "{PBKDF2}$1$MysphPvxudaCfcTb$5000$d5eddb9563f3a51a3c9d9e64afb650d05c86c5e9",
	"doveadm CRYPT":                  "{CRYPT}$2y$05$5lzfncI1WhVH7dub3dkGWecz50lOmYDHT0gVIG7rKq9tY5t04ywIC",
	"mkpasswd sha512crypt -R 100000": "$6$rounds=100000$saltstring$upXVRAOpVjcsjqfVvAwhshMyaf/t8.KkUICtovvaXnAXmpRNcJoBf6CTfLqF6pGYTQVXg1ww2OSquBGV4WwtW/",
	"mkpasswd sha256crypt":           "$5$IBtvLiF/lTD7W7Lg$U2C0jNKAaHT9Pniwyg4/eW/ujwMKce111hR7wOK28P2",
	"mkpasswd bcrypt":                "$2b$05$nlOXOvsesc8qRaQRLGNd/.Nj5xWdV92O3mr1YdNGYmPpnavNZQ7GC",
	"openssl passwd -6, odd salt":    "$6$a b!$6U.Mee6dVl.XqdtKqopyIVkJcg7PZ31Tw00d2vXJHrReQlo1mYqxuuqedba0AHMu3InzI9hUwyWiIm1civFIu1",
	"PHP PASSWORD_BCRYPT":            "$2y$10$VSKOqaNQ/t6maNPuW6qRyexv3DJ6TxBLAv8O/mSZoTIuazFlAW/GG",
	"PHP PASSWORD_ARGON2ID":          "$argon2id$v=19$m=65536,t=4,p=1$N213TWNLMS9LVnNCVnJ6ZQ$ziW7pTNiGX1HHpdWAp82kIZWtminb7usOAT0piezdEY",
}

// checkVector sees that a hash fits its password and no other.
func checkVector(t *testing.T, program, hash, password string) {
	t.Helper()
	h, err := parseHash(hash)
	if err != nil {
		t.Errorf("%s: %v", program, err)
		return
	}
	if h.verify(password + "x") {
		t.Errorf("%s: another password is right", program)
	}
	if !h.verify(password) {
		t.Errorf("%s: the password is wrong", program)
	}
}

func TestHashesOfOtherProgramsAreChecked(t *testing.T) {
	for program, hash := range vectors {
		checkVector(t, program, hash, vectorPassword)
	}
	checkVector(t, "md5-crypt", "$1$xxxxxxxx$UYCIxa628.9qXjpQCjM4a.", "password")
}

func TestHashesOfTheProgramsThatAreInstalledAreChecked(t *testing.T) {
	interop.NeedTime(t)
	commands := [][]string{
		{"openssl", "passwd", "-6", vectorPassword}, {"openssl", "passwd", "-5", vectorPassword}, {"openssl", "passwd", "-1", vectorPassword},
		{"mkpasswd", "-m", "sha512crypt", vectorPassword}, {"mkpasswd", "-m", "sha256crypt", vectorPassword},
		{"mkpasswd", "-m", "bcrypt", vectorPassword}, {"mkpasswd", "-m", "md5crypt", vectorPassword},
		{"php", "-r", `echo password_hash("` + vectorPassword + `", PASSWORD_DEFAULT);`},
	}
	for _, scheme := range []string{"ARGON2ID", "ARGON2I", "BLF-CRYPT", "SHA512-CRYPT", "SHA256-CRYPT", "CRYPT", "MD5-CRYPT",
		"SSHA", "SSHA256", "SSHA512", "SHA", "SHA256", "SHA512", "PBKDF2", "SSHA256.hex", "SHA512.b64"} {
		commands = append(commands, []string{"doveadm", "pw", "-s", scheme, "-p", vectorPassword})
	}
	for _, words := range commands {
		t.Run(strings.Join(words[:len(words)-1], " "), func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), interop.Need(t, words[0]), words[1:]...).Output()
			if err != nil {
				t.Fatal(err)
			}
			checkVector(t, words[0], strings.TrimSpace(string(out)), vectorPassword)
		})
	}
}

// costly are hashes at a limit and beyond it; the sums in them are of nothing.
var costly = []struct {
	format         string
	limit, further any
}{
	{"$6$rounds=%d$salt$" + strings.Repeat("x", 86), 1_000_000, 1_000_001},
	{"$5$rounds=%d$salt$" + strings.Repeat("x", 43), 1_000_000, 1_000_001},
	{"$5$rounds=%d$salt$" + strings.Repeat("x", 43), 1000, 999},
	{"{PBKDF2}$1$salt$%d$" + strings.Repeat("0", 40), 1_000_000, 1_000_001},
	{"{PBKDF2}$1$salt$%d$" + strings.Repeat("0", 40), 1, 0},
	{"$2b$%d$" + strings.Repeat("x", 53), 14, 15},
	{"$argon2id$v=19$m=%d,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", 256 * 1024, 256*1024 + 1},
	{"$argon2i$v=19$m=64,t=%d,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", 16, 17},
	{"$argon2id$v=19$m=1024,t=1,p=%d$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", 16, 17},
	{"$6$%s$" + strings.Repeat("x", 86), strings.Repeat("s", 16), strings.Repeat("s", 17)},
	{"$1$%s$" + strings.Repeat("x", 22), strings.Repeat("s", 8), strings.Repeat("s", 9)},
}

func TestHashesAreTakenUpToTheLimitOfTheirCost(t *testing.T) {
	for _, row := range costly {
		if _, err := parseHash(fmt.Sprintf(row.format, row.limit)); err != nil {
			t.Errorf("%s at %v: %v", row.format, row.limit, err)
		}
		if _, err := parseHash(fmt.Sprintf(row.format, row.further)); err != errHash {
			t.Errorf("%s at %v: %v", row.format, row.further, err)
		}
	}
}

func TestSchemesWithThePasswordItselfAndUnknownOnesAreRefused(t *testing.T) {
	digest := sha1.Sum([]byte("x"))
	for _, hash := range []string{
		"{PLAIN}canary", "{plain}canary", "{CLEARTEXT}canary", "{CLEAR.B64}Y2FuYXJ5", "{CRAM-MD5}canary", "{DES-CRYPT}Zh6JB6CzQh0Ic", "{NTLM}canary",
		"{}canary", "{SSHA", "canary", "{MD5-CRYPT}" + strings.TrimPrefix(vectors["doveadm SHA512-CRYPT"], "{SHA512-CRYPT}"),
		"{SSHA}" + base64.StdEncoding.EncodeToString(digest[:]), // without a salt
		"{SHA}" + base64.StdEncoding.EncodeToString(append(digest[:], 1)),
		"{SHA}" + base64.StdEncoding.EncodeToString(digest[:19]),
		"{SHA.X}" + base64.StdEncoding.EncodeToString(digest[:]),
		"{PBKDF2}$2$salt$1$" + strings.Repeat("0", 40), "{PBKDF2}$1$$1$" + strings.Repeat("0", 40), "{PBKDF2}$1$salt$1$00",
	} {
		_, err := parseHash(hash)
		plain := strings.HasPrefix(strings.ToUpper(hash), "{PLAIN") || strings.HasPrefix(hash, "{CLEAR")
		if plain && err != errPlain || !plain && err != errHash {
			t.Errorf("%s: %v", hash, err)
		}
	}
}
