package dkim_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "github.com/panelmail/panelmail/dkim"
)

func TestGeneratedKeysKnowWhatTheyAre(t *testing.T) {
	type facts struct {
		Domain, Selector string
		Algorithm        Algorithm
		Bits             int
		RecordName       string
		Record           string // up to p=
		Printed          string
	}
	for _, want := range []facts{
		{"example.com", "s1", RSA2048, 2048, "s1._domainkey.example.com", "v=DKIM1; k=rsa; p=", "s1._domainkey.example.com (rsa2048)"},
		{"example.com", "a.B2-c", Ed25519, 256, "a.B2-c._domainkey.example.com", "v=DKIM1; k=ed25519; p=", "a.B2-c._domainkey.example.com (ed25519)"},
	} {
		k := generate(t, want.Domain, want.Selector, want.Algorithm)
		record, public, _ := strings.Cut(k.Record(), "p=")
		got := facts{k.Domain(), k.Selector(), k.Algorithm(), k.Bits(), k.RecordName(), record + "p=", k.String()}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if _, err := base64.StdEncoding.DecodeString(public); err != nil {
			t.Errorf("p=%s: %v", public, err)
		}
	}
}

func TestZeroKeyIsHarmless(t *testing.T) {
	var k Key
	got := fmt.Sprint(k, k.Domain(), k.Selector(), k.Algorithm(), k.Bits(), k.RecordName(), k.Record())
	if want := fmt.Sprint("no key", "", "", Algorithm(""), 0, "", ""); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := k.MarshalPEM(); err == nil {
		t.Error("MarshalPEM: no error")
	}
	if err := k.CheckRecord([]string{"v=DKIM1; p="}); err == nil {
		t.Error("CheckRecord: no error")
	}
	s := Signer{Keys: keys(k)}
	if _, err := s.Sign(t.Context(), "example.com", strings.NewReader(plain)); err == nil {
		t.Error("Sign: no error")
	}
	if !k.Equal(Key{}) || k.Equal(generate(t, "example.com", "s", Ed25519)) {
		t.Error("Equal does not know it")
	}
}

func TestNamesOfKeysAreHostNames(t *testing.T) {
	label := strings.Repeat("a", 63)
	long := strings.Join([]string{label, label, label, "example"}, ".") // 199 octets
	for _, tt := range []struct {
		domain, selector string
		err              error
		name             string
	}{
		{"Example.COM", "s1", nil, "s1._domainkey.example.com"},
		{"example.com.", "s1", nil, "s1._domainkey.example.com"},
		{"Bücher.example", "s1", nil, "s1._domainkey.xn--bcher-kva.example"},
		{"example.com", label, nil, label + "._domainkey.example.com"},
		{long, strings.Repeat("s", 42), nil, strings.Repeat("s", 42) + "._domainkey." + long},
		{long, strings.Repeat("s", 43), ErrSelector, ""},
		{"example.com", label + "a", ErrSelector, ""},
		{"a" + label + ".com", "s1", ErrDomain, ""},
		{"", "s1", ErrDomain, ""},
		{"localhost", "s1", ErrDomain, ""},
		{"a.test;\r\nEvil: y", "s1", ErrDomain, ""},
		{"a.test; l=1", "s1", ErrDomain, ""},
		{"a b.test", "s1", ErrDomain, ""},
		{"a_b.test", "s1", ErrDomain, ""},
		{"-a.test", "s1", ErrDomain, ""},
		{"a-.test", "s1", ErrDomain, ""},
		{"a..test", "s1", ErrDomain, ""},
		{".a.test", "s1", ErrDomain, ""},
		{"*.a.test", "s1", ErrDomain, ""},
		{"[192.0.2.1]", "s1", ErrDomain, ""},
		{"192.0.2.1", "s1", ErrDomain, ""},
		{"\xff.test", "s1", ErrDomain, ""},
		{"a.test", "", ErrSelector, ""},
		{"a.test", "s 1", ErrSelector, ""},
		{"a.test", "s;1", ErrSelector, ""},
		{"a.test", "s\r\nEvil: y", ErrSelector, ""},
		{"a.test", "s_1", ErrSelector, ""},
		{"a.test", "s1.", ErrSelector, ""},
		{"a.test", "-s1", ErrSelector, ""},
		{"a.test", "ü", ErrSelector, ""},
		{"a.test", "\u212a", ErrSelector, ""}, // KELVIN SIGN, which folds to k
	} {
		k, err := GenerateKey(tt.domain, tt.selector, Ed25519)
		if !errors.Is(err, tt.err) || k.RecordName() != tt.name {
			t.Errorf("%q, %q: %q, %v, want %q, %v", tt.domain, tt.selector, k.RecordName(), err, tt.name, tt.err)
		}
		if err != nil && tt.domain != "" && strings.Contains(err.Error(), tt.domain) {
			t.Errorf("the error repeats %q", tt.domain)
		}
	}
	if _, err := GenerateKey("example.com", "s1", "dsa"); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("%v, want %v", err, ErrAlgorithm)
	}
}

// block is a PEM block.
func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// rsaOf makes an RSA key of so many bits.
func rsaOf(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// pkcs8 is a private key as a PEM block of PKCS #8.
func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return block("PRIVATE KEY", der)
}

func TestPrivateKeysAreImported(t *testing.T) {
	strong, weak := rsaOf(t, 2048), rsaOf(t, 1024)
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed, err := generate(t, "example.com", "s1", Ed25519).MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	traditional := block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(strong))
	public, err := x509.MarshalPKIXPublicKey(&strong.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	legacy := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte("x")})
	for _, tt := range []struct {
		name string
		pem  []byte
		want string // Algorithm and bits
		err  error
	}{
		{"PKCS #1", traditional, "rsa2048 2048", nil},
		{"PKCS #8", pkcs8(t, strong), "rsa2048 2048", nil},
		{"Ed25519", ed, "ed25519 256", nil},
		{"text and public key around it", slices.Concat([]byte("dkim key\n"), block("PUBLIC KEY", public), ed, []byte("end")), "ed25519 256", nil},
		{"CRLF", bytes.ReplaceAll(ed, []byte("\n"), []byte("\r\n")), "ed25519 256", nil},
		{"1024 bits, PKCS #1", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(weak)), "", ErrKeySize},
		{"1024 bits, PKCS #8", pkcs8(t, weak), "", ErrKeySize},
		{"elliptic curve", pkcs8(t, elliptical), "", ErrKeyType},
		{"elliptic curve, SEC 1", block("EC PRIVATE KEY", []byte("x")), "", ErrKeyType},
		{"encrypted, PKCS #8", block("ENCRYPTED PRIVATE KEY", []byte("x")), "", ErrEncrypted},
		{"encrypted, PKCS #1", legacy, "", ErrEncrypted},
		{"two keys", slices.Concat(ed, traditional), "", ErrPEM},
		{"public key alone", block("PUBLIC KEY", public), "", ErrPEM},
		{"not DER", block("PRIVATE KEY", []byte("no")), "", ErrPEM},
		{"cut off", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(strong)[:900]), "", ErrPEM},
		{"no PEM", []byte("hello"), "", ErrPEM},
		{"nothing", nil, "", ErrPEM},
		{"too large", slices.Concat(bytes.Repeat([]byte("#\n"), 4096), ed), "", ErrPEM},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, err := ParseKey("example.com", "s1", tt.pem)
			if !errors.Is(err, tt.err) {
				t.Fatalf("%v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			if got := fmt.Sprint(k.Algorithm(), " ", k.Bits()); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			again, err := k.MarshalPEM()
			if err != nil {
				t.Fatal(err)
			}
			if same, err := ParseKey("example.com", "s1", again); err != nil || !same.Equal(k) {
				t.Errorf("what MarshalPEM gives is not read as the same key: %v", err)
			}
		})
	}
}

func TestKeysWithLargeOrSmallModulusAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name string // made by openssl genrsa
		want error
	}{
		{"rsa2047.pem", ErrKeySize},
		{"rsa4096.pem", nil},
		{"rsa4104.pem", ErrKeySize},
	} {
		text, err := os.ReadFile("testdata/" + tt.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseKey("example.com", "s1", text); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestOnlyTheSameKeyIsEqual(t *testing.T) {
	a := generate(t, "example.com", "s1", Ed25519)
	text, err := a.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		other Key
		want  bool
	}{
		"itself":           {a, true},
		"read again":       {parse(t, "example.com", "s1", text), true},
		"another selector": {parse(t, "example.com", "s2", text), false},
		"another domain":   {parse(t, "example.net", "s1", text), false},
		"another key":      {generate(t, "example.com", "s1", Ed25519), false},
		"another kind":     {generate(t, "example.com", "s1", RSA2048), false},
		"none":             {Key{}, false},
	} {
		if got := a.Equal(tt.other); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// parse reads a key that has to be good.
func parse(t testing.TB, domain, selector string, text []byte) Key {
	t.Helper()
	k, err := ParseKey(domain, selector, text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestPrivateKeyShowsInNothingThatPrintsAKey(t *testing.T) {
	for _, alg := range []Algorithm{RSA2048, Ed25519} {
		k := generate(t, "example.com", "s1", alg)
		text, err := k.MarshalPEM()
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		type holder struct {
			key  Key
			keys []Key
			m    map[string]Key
			p    *Key
		}
		h := holder{k, []Key{k}, map[string]Key{"k": k}, &k}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%t", "%z"} {
			for _, v := range []any{k, &k, h, &h, h.keys, h.m, keys(k), Signer{Keys: keys(k)}} {
				fmt.Fprintf(&out, verb+"\n", v)
			}
		}
		for _, v := range []any{k, &k, h, h.keys, h.m} {
			if err := json.NewEncoder(&out).Encode(v); err != nil {
				t.Fatal(err)
			}
			slog.New(slog.NewTextHandler(&out, nil)).Info("key", "key", v)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("key", "key", v)
		}
		for name, secret := range canaries(text) {
			if i := strings.Index(strings.ToLower(out.String()), strings.ToLower(secret)); i >= 0 {
				t.Errorf("%s: the private key shows as %s: %.200q", alg, name, out.String()[max(0, i-100):])
			}
		}
	}
}

// canaries are parts of a private key in the forms in which it might show.
func canaries(text []byte) map[string]string {
	b, _ := pem.Decode(text)
	end := b.Bytes[len(b.Bytes)-16:] // inside the last number of the key
	return map[string]string{
		"PEM":             strings.Split(string(text), "\n")[1],
		"base64":          base64.StdEncoding.EncodeToString(b.Bytes)[20:60],
		"hexadecimal":     fmt.Sprintf("%x", end),
		"list":            strings.Trim(fmt.Sprint(end), "[]"),
		"octets":          string(end),
		"list in Go":      strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", end), "[]byte{"), "}"),
		"list with comma": strings.ReplaceAll(strings.Trim(fmt.Sprint(end), "[]"), " ", ","),
	}
}

func TestErrorsOfImportSayNothingOfTheKey(t *testing.T) {
	text := string(pkcs8(t, rsaOf(t, 2048)))
	lines := strings.Split(text, "\n")
	for i := 1; i < len(lines)-2; i++ {
		broken := slices.Clone(lines)
		broken[i] = strings.Map(func(r rune) rune {
			if r == 'A' {
				return 'B'
			}
			return r
		}, "A"+broken[i][1:])
		_, err := ParseKey("example.com", "s1", []byte(strings.Join(broken, "\n")))
		if err == nil {
			continue // a spoiled octet of no consequence
		}
		if err.Error() != ErrPEM.Error() {
			t.Errorf("line %d: %v", i, err)
		}
	}
}

func TestJSONOfAKeyIsItsNames(t *testing.T) {
	got, err := json.Marshal(generate(t, "example.com", "s1", Ed25519))
	if want := `{"domain":"example.com","selector":"s1","algorithm":"ed25519"}`; err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}
