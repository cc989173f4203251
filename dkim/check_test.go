package dkim_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	. "github.com/panelmail/panelmail/dkim"
)

// publicRSA is the public half of an RSA key in the short form, as base64.
func publicRSA(t *testing.T, k Key) string {
	t.Helper()
	text, err := k.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	b, _ := pem.Decode(text)
	private, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&private.(*rsa.PrivateKey).PublicKey))
}

func TestCheckRecordSaysWhatIsWrong(t *testing.T) {
	r, e := generate(t, "example.com", "r1", RSA2048), generate(t, "example.com", "e1", Ed25519)
	_, p, _ := strings.Cut(r.Record(), "p=")
	_, pe, _ := strings.Cut(e.Record(), "p=")
	other := generate(t, "example.com", "r1", RSA2048)
	for _, tt := range []struct {
		name      string
		key       Key
		published []string
		err       error
		text      string // part of the error
	}{
		{"as made", r, []string{r.Record()}, nil, ""},
		{"as made, Ed25519", e, []string{e.Record()}, nil, ""},
		{"least", r, []string{"p=" + p}, nil, ""},
		{"blanks and tags in another order", r, []string{" v = DKIM1 ;\tp= " + p[:100] + " " + p[100:] + " ; k = rsa; h=sha1 : sha256; s=*; n=hello; t=s; future=1; "}, nil, ""},
		{"for mail", r, []string{"v=DKIM1; s=other:email; p=" + p}, nil, ""},
		{"short form of the public key", r, []string{"v=DKIM1; p=" + publicRSA(t, r)}, nil, ""},

		{"none", r, nil, ErrNoRecord, ""},
		{"two", r, []string{r.Record(), r.Record()}, ErrManyRecords, ""},
		{"revoked", r, []string{"v=DKIM1; p="}, ErrRevoked, ""},
		{"revoked, with blanks", r, []string{"v=DKIM1; p= ;"}, ErrRevoked, ""},
		{"another key", r, []string{other.Record()}, ErrOtherKey, ""},
		{"another kind of key", r, []string{e.Record()}, ErrOtherKey, "k= is not rsa"},
		{"RSA where Ed25519 is expected", e, []string{r.Record()}, ErrOtherKey, "k= is not ed25519"},
		{"Ed25519 without k=", e, []string{"v=DKIM1; p=" + pe}, ErrOtherKey, "k= is not ed25519"},
		{"Ed25519 of another length", e, []string{"v=DKIM1; k=ed25519; p=AAAA"}, ErrOtherKey, ""},
		{"test", r, []string{"v=DKIM1; t=s:y; p=" + p}, ErrTesting, ""},
		{"first character-string only", r, []string{r.Record()[:255]}, ErrRecord, "cut off after 237 of 392"},
		{"no p=", r, []string{"v=DKIM1; k=rsa"}, ErrRecord, "no p="},
		{"not base64", r, []string{"v=DKIM1; p=!" + p}, ErrRecord, "not base64"},
		{"base64 of nothing useful", r, []string{"v=DKIM1; p=AAAA"}, ErrRecord, "no public key"},
		{"SPF", r, []string{"v=spf1 -all"}, ErrRecord, "v=DKIM1 has to come first"},
		{"not a list", r, []string{"hello"}, ErrRecord, "name=value"},
		{"empty", r, []string{""}, ErrRecord, "no p="},
		{"v= not first", r, []string{"k=rsa; v=DKIM1; p=" + p}, ErrRecord, "v=DKIM1"},
		{"v= of the wrong case", r, []string{"v=dkim1; p=" + p}, ErrRecord, "v=DKIM1"},
		{"p= twice", r, []string{"v=DKIM1; p=" + p + "; p=" + p}, ErrRecord, "name=value"},
		{"quotes", r, []string{`"v=DKIM1; p=` + p + `"`}, ErrRecord, "quotes or backslashes"},
		{"semicolons escaped", r, []string{`v=DKIM1\; p=` + p}, ErrRecord, "quotes or backslashes"},
		{"sha1 alone", r, []string{"v=DKIM1; h=sha1; p=" + p}, ErrRecord, "sha256"},
		{"not for mail", r, []string{"v=DKIM1; s=tlsrpt; p=" + p}, ErrRecord, "mail"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.key.CheckRecord(tt.published)
			if !errors.Is(err, tt.err) || err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%v, want %v with %q", err, tt.err, tt.text)
			}
		})
	}
}

// TestCheckRecordAgreesWithAVerifier asks go-msgauth about each record that CheckRecord
// lets pass or not.
func TestCheckRecordAgreesWithAVerifier(t *testing.T) {
	for _, alg := range []Algorithm{RSA2048, Ed25519} {
		key := generate(t, "example.com", "s1", alg)
		s := Signer{Keys: keys(key)}
		fields, err := s.Sign(t.Context(), "example.com", strings.NewReader(plain))
		if err != nil {
			t.Fatal(err)
		}
		record := key.Record()
		for i := range record {
			for _, changed := range []string{record[:i], record[:i] + record[i+1:], record[:i] + ";" + record[i:], record[:i] + " " + record[i:], record[:i] + "=" + record[i+1:]} {
				lookup := func(string) ([]string, error) { return []string{changed}, nil }
				verified := strings.Join(judge(t, lookup, fields+plain), " ") == "example.com"
				if err := key.CheckRecord([]string{changed}); err == nil && !verified {
					t.Errorf("%s is taken, and verifiers refuse it", changed)
				}
			}
		}
	}
}
