package sites_test

import (
	"bytes"
	"crypto/sha512"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/go-crypt/x/crypt"

	"github.com/panelmail/panelmail/mailcore/sites"
)

// Hashes of vectorPassword by doveadm pw, PHP and mkpasswd.
const (
	vectorPassword = "pässword"
	sshaVector     = "{SSHA}h8T4jWKd6M+PmCFCZqXCw5PvjPtXEzNh"
	sha512Vector   = "{SHA512-CRYPT}$6$rounds=1000$A8FDDxkaUnxLoq4Y$wUwsuNJ03pBzr4.UvrKFgk6b1Jo4mKq8/qTVFhAwH3EibcMwVs4VeZB0zytw92nlY5Ev4TC/x5EPaYDl19hWg0"
	cheapVector    = "{BLF-CRYPT}$2y$05$JzeXPSfoflxDcKMFKm8pMe7N6UqauX0fvxqI1tHhrMp6DwDygxHHK"
	bcryptVector   = "$2y$10$VSKOqaNQ/t6maNPuW6qRyexv3DJ6TxBLAv8O/mSZoTIuazFlAW/GG"
	argon2Vector   = "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$1gjEBPhNAs9wuuUdcv6uDA$26BkkIaXrfSxQmoQcKY/ODb6zA3q1uv804G7SDsxqUk"
)

// storedHash reads the hash of a login as it is in the file.
func storedHash(t *testing.T, f *file, name string) (hash string) {
	t.Helper()
	must(t, f.View(t.Context(), func(tx *sql.Tx) error {
		return tx.QueryRow(`SELECT hash FROM panelmail_login WHERE name = ?`, name).Scan(&hash)
	}))
	return hash
}

func TestAWeakHashIsReplacedAtTheNextSuccessAndAStrongOneStays(t *testing.T) {
	ctx := t.Context()
	f := newFile(t)
	s, err := sites.New(ctx, f)
	must(t, err, s.AddSite(ctx, sites.Site{Name: "a"}))
	for vector, strong := range map[string]bool{
		argon2Vector: true, bcryptVector: true, cheapVector: false, sha512Vector: false, sshaVector: false,
	} {
		must(t, s.AddLoginHash(ctx, sites.Login{Name: "x", Site: "a"}, vector))
		if _, err := s.Authenticate(ctx, "x", "wrong"); err != sites.ErrBadCredentials || storedHash(t, f, "x") != vector {
			t.Errorf("%s: after a wrong password: %v, %s", vector, err, storedHash(t, f, "x"))
		}
		_, err := s.Authenticate(ctx, "x", vectorPassword)
		must(t, err)
		if got := storedHash(t, f, "x"); strong != (got == vector) || !strong && !strings.HasPrefix(got, "$argon2id$") {
			t.Errorf("%s: the stored hash became %s", vector, got)
		}
		must(t, s.RemoveLogin(ctx, "x"))
	}
}

func TestLoginsAreImportedAllOrNone(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	must(t, s.AddSite(ctx, sites.Site{Name: "a"}), s.AddSite(ctx, sites.Site{Name: "b"}),
		s.AddDomain(ctx, sites.Domain{Name: "b.example", Site: "b", Class: sites.Hosted}))
	good := "# logins of the old host\n\nann@a.example:" + sshaVector + ":1000:1000::/home/ann::userdb_quota=1\r\n" +
		"bob:" + sha512Vector + "\n"
	bad := good + "eve:{PLAIN}canary\ncanary\nx@b.example:" + sshaVector + "\n"
	if _, err := s.ImportLogins(ctx, "a", strings.NewReader(bad)); !errors.Is(err, sites.ErrInvalid) ||
		!strings.Contains(err.Error(), "line 5") || !strings.Contains(err.Error(), "line 6") || strings.Contains(err.Error(), "canary") {
		t.Errorf("a file with two wrong lines: %v", err)
	}
	stolen := good + "x@b.example:" + sshaVector + "\nbob:" + sshaVector
	if _, err := s.ImportLogins(ctx, "a", strings.NewReader(stolen)); !errors.Is(err, sites.ErrNotOwner) || !errors.Is(err, sites.ErrExists) {
		t.Errorf("another site's domain and a name twice: %v", err)
	}
	if got := logins(t, s, ""); len(got) != 0 {
		t.Errorf("some were added: %v", got)
	}
	if n, err := s.ImportLogins(ctx, "a", strings.NewReader(good)); n != 2 || err != nil {
		t.Errorf("added %d: %v", n, err)
	}
	for _, name := range []string{"ann@a.example", "bob"} {
		if _, err := s.Authenticate(ctx, name, vectorPassword); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.ImportLogins(ctx, "a", bytes.NewReader(bytes.Repeat([]byte("x"), 1<<20))); err == nil {
		t.Error("a line without end was read")
	}
}

func TestALongGuessAtAHashOfManyRoundsIsNotHashed(t *testing.T) {
	ctx := t.Context()
	s, err := sites.New(ctx, newFile(t))
	must(t, err, s.AddSite(ctx, sites.Site{Name: "a"}))
	for octets, want := range map[int]error{256: nil, 257: sites.ErrBadCredentials} {
		password := strings.Repeat("x", octets)
		name := strconv.Itoa(octets)
		hash := crypt.KeySHACrypt(sha512.New, []byte(password), []byte("salt"), 1000)
		must(t, s.AddLoginHash(ctx, sites.Login{Name: name, Site: "a"}, "$6$rounds=1000$salt$"+string(hash)))
		if _, err := s.Authenticate(ctx, name, password); !errors.Is(err, want) {
			t.Errorf("a password of %d octets: %v", octets, err)
		}
	}
}
