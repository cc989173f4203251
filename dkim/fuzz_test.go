package dkim_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"testing"

	msgauth "github.com/emersion/go-msgauth/dkim"

	. "github.com/panelmail/panelmail/dkim"
)

func FuzzKeysThatAreReadAreGood(f *testing.F) {
	for _, alg := range []Algorithm{RSA2048, Ed25519} {
		text, err := generate(f, "example.com", "s1", alg).MarshalPEM()
		if err != nil {
			f.Fatal(err)
		}
		f.Add("example.com", "s1", text)
		b, _ := pem.Decode(text)
		f.Add("Bücher.example", "a.b", block("RSA PRIVATE KEY", b.Bytes))
	}
	for _, name := range []string{"rsa2047.pem", "rsa4096.pem"} {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add("a.test;\r\nb", "s\n", text)
	}
	f.Fuzz(func(t *testing.T, domain, selector string, text []byte) {
		k, err := ParseKey(domain, selector, text)
		if err != nil {
			for line := range bytes.Lines(text) {
				if len(line) > 20 && strings.Contains(err.Error(), string(line)) {
					t.Fatalf("the error has a line of the input: %v", err)
				}
			}
			return
		}
		if strings.ContainsAny(k.RecordName(), "; \r\n\"\\()") || len(k.RecordName()) > 253 {
			t.Fatalf("%q", k.RecordName())
		}
		if err := k.CheckRecord([]string{k.Record()}); err != nil {
			t.Fatal(err)
		}
		again, err := k.MarshalPEM()
		if err != nil {
			t.Fatal(err)
		}
		if same, err := ParseKey(domain, selector, again); err != nil || !same.Equal(k) {
			t.Fatalf("%v, %v", same, err)
		}
		fields := signed(t, &Signer{Keys: keys(k)}, plain)
		if got := judge(t, published(k), fields); fmt.Sprint(got) != "["+k.Domain()+"]" {
			t.Fatal(got)
		}
	})
}

func FuzzWhatIsSignedVerifies(f *testing.F) {
	for i, msg := range corpus() {
		if i%16 == 0 {
			f.Add(msg)
		}
	}
	f.Add("From : a\r\n\r\n")
	f.Add("From: a\n b\n\nbody")
	key := generate(f, "example.com", "e1", Ed25519)
	s := &Signer{Keys: keys(key)}
	f.Fuzz(func(t *testing.T, msg string) {
		fields, err := s.Sign(context.Background(), "example.com", strings.NewReader(msg))
		if err != nil {
			return
		}
		for line := range strings.Lines(fields) {
			if len(line) > 1000 || !strings.HasSuffix(line, "\r\n") {
				t.Fatalf("line %q", line)
			}
		}
		// The message may bring signatures of its own: ours is the first.
		verdict := func(msg string) error {
			v, err := msgauth.VerifyWithOptions(strings.NewReader(msg), &msgauth.VerifyOptions{LookupTXT: published(key), MaxVerifications: 1})
			if len(v) == 0 {
				t.Fatal(err)
			}
			return v[0].Err
		}
		if err := verdict(fields + msg); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"From", "sUBJECT", "Content-Type"} {
			if verdict(name+": x\r\n"+fields+msg) == nil {
				t.Fatalf("%s can be put on top", name)
			}
		}
	})
}

func FuzzVerifyEndsAndItsResultsAreOneField(f *testing.F) {
	key := generate(f, "example.com", "e1", Ed25519)
	good := signed(f, &Signer{Keys: keys(key, key)}, plain)
	f.Add(good, key.Record())
	f.Add(strings.Replace(good, "relaxed/relaxed", "simple/relaxed", 1), "v=DKIM1; p=")
	vectors, err := os.ReadFile("testdata/rfc8463.eml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(vectors), "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
	f.Fuzz(func(t *testing.T, msg, record string) {
		key.CheckRecord([]string{record})
		found, err := Verify(context.Background(), everywhere(record), strings.NewReader(msg))
		if err != nil {
			return
		}
		field, err := AuthenticationResults("mx.example.net", found)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(field, "\r\n"), "\r\n")
		for i, line := range lines {
			if i > 0 && !strings.HasPrefix(line, "\t") || strings.ContainsAny(line, "\r\n\\()") || strings.Count(line, `"`)%2 != 0 {
				t.Fatalf("%q", field)
			}
		}
		_, value, _ := strings.Cut(field, ":")
		if !ClaimsToBe("mx.example.net", value) {
			t.Fatalf("%q is not known as ours", field)
		}
	})
}

// everywhere is a DNS with the same record at every name.
type everywhere string

func (e everywhere) LookupTXT(context.Context, string) ([]string, error) {
	return []string{string(e)}, nil
}
