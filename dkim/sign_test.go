package dkim_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	msgauth "github.com/emersion/go-msgauth/dkim"

	. "github.com/panelmail/panelmail/dkim"
)

// generate makes a key that has to be possible.
func generate(t testing.TB, domain, selector string, alg Algorithm) Key {
	t.Helper()
	k, err := GenerateKey(domain, selector, alg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// keys is a KeyStore that has these keys for every domain.
func keys(k ...Key) KeyStore {
	return KeyStoreFunc(func(context.Context, string) ([]Key, error) { return k, nil })
}

// published is the DNS with the records of these keys.
func published(k ...Key) func(string) ([]string, error) {
	return func(name string) ([]string, error) {
		for _, k := range k {
			if name == k.RecordName() {
				return []string{k.Record()}, nil
			}
		}
		return nil, fmt.Errorf("no record at %s", name)
	}
}

// judge verifies a message with go-msgauth; it names the domains of the signatures that
// are good, and the error of each that is not.
func judge(t testing.TB, lookup func(string) ([]string, error), msg string) (verdicts []string) {
	t.Helper()
	found, err := msgauth.VerifyWithOptions(strings.NewReader(msg), &msgauth.VerifyOptions{LookupTXT: lookup})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		if v.Err != nil {
			verdicts = append(verdicts, v.Err.Error())
		} else {
			verdicts = append(verdicts, v.Domain)
		}
	}
	return verdicts
}

const plain = "From: Ann <ann@example.com>\r\nTo: bob@example.net\r\nSubject: Lunch\r\n" +
	"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nAt one?\r\n"

func TestEveryKeyMakesASignatureThatVerifies(t *testing.T) {
	rsa, ed := generate(t, "example.com", "r1", RSA2048), generate(t, "example.com", "e1", Ed25519)
	s := &Signer{Keys: keys(rsa, ed)}
	fields, err := s.Sign(t.Context(), "example.com", strings.NewReader(plain))
	if err != nil {
		t.Fatal(err)
	}
	got := judge(t, published(rsa, ed), fields+plain)
	if want := "[example.com example.com]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s\n%s", got, want, fields)
	}
}

// counted counts the octets read.
type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func TestHeaderOf100KiBIsSignedAndNotOneOctetMore(t *testing.T) {
	const limit = 100 << 10
	key := generate(t, "example.com", "e1", Ed25519)
	s := &Signer{Keys: keys(key)}
	const from = "From: ann@example.com\r\n"
	pad := func(n int) string { return from + "X: " + strings.Repeat("x", n-len(from)-5) + "\r\n" }
	folded := from + "X:" + strings.Repeat(" xxxxxxxxxxxxxx\r\n", 5<<20/17)
	for _, tt := range []struct {
		name, header string
		read         int // at most; 0 is everything
		err          error
	}{
		{"at the limit", pad(limit), 0, nil},
		{"one octet more", pad(limit + 1), limit + 1, ErrHeaderTooLarge},
		{"5 MB folded", folded, limit + 1, ErrHeaderTooLarge},
		{"5 MB on one line", pad(5 << 20), limit + 1, ErrHeaderTooLarge},
		{"1,000 fields", from + strings.Repeat("X:\r\n", 999), 0, nil},
		{"1,001 fields", from + strings.Repeat("X:\r\n", 1000), 0, ErrTooManyFields},
	} {
		t.Run(tt.name, func(t *testing.T) {
			msg := tt.header + "\r\nbody\r\n"
			in := &counted{r: strings.NewReader(msg)}
			fields, err := s.Sign(t.Context(), "example.com", in)
			if !errors.Is(err, tt.err) {
				t.Fatalf("%v, want %v", err, tt.err)
			}
			if tt.read > 0 && in.n > tt.read {
				t.Errorf("%d octets read, %d are allowed", in.n, tt.read)
			}
			if err == nil {
				if got := judge(t, published(key), fields+msg); fmt.Sprint(got) != "[example.com]" {
					t.Error(got)
				}
			}
		})
	}
}
