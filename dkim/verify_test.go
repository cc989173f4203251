package dkim_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	. "github.com/panelmail/panelmail/dkim"
)

// A zone is a DNS of TXT records that remembers what it was asked for. A name it does not
// have does not exist, and the record "SERVFAIL" cannot be looked up.
type zone struct {
	records map[string][]string

	mu    sync.Mutex
	asked []string
}

func (z *zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	z.mu.Lock()
	z.asked = append(z.asked, name)
	z.mu.Unlock()
	texts := z.records[name]
	switch {
	case len(texts) == 0:
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	case texts[0] == "SERVFAIL":
		return nil, errors.New("server failure")
	}
	return texts, nil
}

// zoneOf has the records of these keys.
func zoneOf(k ...Key) *zone {
	z := &zone{records: map[string][]string{}}
	for _, k := range k {
		z.records[k.RecordName()] = []string{k.Record()}
	}
	return z
}

func TestVectorsOfRFC8463Verify(t *testing.T) {
	msg, err := os.ReadFile("testdata/rfc8463.eml")
	if err != nil {
		t.Fatal(err)
	}
	const domain = "football.example.com"
	z := &zone{records: map[string][]string{
		"brisbane._domainkey." + domain: {"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="},
		"test._domainkey." + domain: {"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi" +
			"Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"},
	}}
	got, err := Verify(t.Context(), z, strings.NewReader(string(msg)))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields("from to subject date message-id from subject date")
	when := time.Unix(1528637909, 0)
	want := []Verification{
		{Result: Pass, Domain: domain, Selector: "brisbane", Identifier: "@" + domain, Algorithm: "ed25519-sha256", Fields: fields, Signed: when},
		{Result: Pass, Domain: domain, Selector: "test", Identifier: "@" + domain, Algorithm: "rsa-sha256", Fields: fields, Signed: when},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Verification{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The private key of the RFC, as its authors print it, in an envelope of PKCS #8.
	private := "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n"
	key := parse(t, domain, "brisbane", []byte(private))
	if err := key.CheckRecord(z.records[key.RecordName()]); err != nil {
		t.Error(err)
	}
}

func TestVerifySaysWhatBecameOfASignature(t *testing.T) {
	key := generate(t, "example.com", "e1", Ed25519)
	name := key.RecordName()
	good := signed(t, &Signer{Keys: keys(key)}, plain)
	expired := signed(t, &Signer{Keys: keys(key), Lifetime: time.Nanosecond}, plain)
	record := func(text ...string) *zone { return &zone{records: map[string][]string{name: text}} }
	replaced := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("there is no %q", from)
		}
		return strings.Replace(good, from, to, 1)
	}
	for _, tt := range []struct {
		name string
		zone *zone
		msg  string
		want Result
		text string // in the error
	}{
		{"good", zoneOf(key), good, Pass, ""},
		{"trace fields on top", zoneOf(key), "Received: by b\r\n" + good, Pass, ""},
		{"blanks at the end of a line", zoneOf(key), strings.Replace(good, "At one?", "At  one? \t", 1), Pass, ""},
		{"body changed", zoneOf(key), replaced("At one?", "At two?"), Fail, "body hash"},
		{"Subject changed", zoneOf(key), replaced("Lunch", "Dinner"), Fail, "signature did not verify"},
		{"Subject put on top", zoneOf(key), "Subject: Dinner\r\n" + good, Fail, "signature did not verify"},
		{"another key", record(generate(t, "example.com", "e1", Ed25519).Record()), good, Fail, "signature did not verify"},
		{"part of the message", zoneOf(key), replaced(" s=e1;", " s=e1; l=3;"), Policy, "length"},
		{"no record", record(), good, PermError, "no valid key"},
		{"no answer", record("SERVFAIL"), good, TempError, "key unavailable"},
		{"two records", record(key.Record(), key.Record()), good, PermError, "multiple"},
		{"revoked", record("v=DKIM1; k=ed25519; p="), good, PermError, "revoked"},
		{"endless record", record(key.Record() + "; n=" + strings.Repeat("x", 5000)), good, PermError, "too long"},
		{"weak key", record("v=DKIM1; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBANDXbxHfpE4gfXG4tVCBN2/Ew2UFqkRxU1ZsG0ZGT2nsZ0i8iCBn0o3o5zVR4j0SxnVYJLdCVjV7jvVbQ5EzmcsCAwEAAQ=="), good, PermError, "too short"},
		{"sha1", zoneOf(key), replaced("a=ed25519-sha256", "a=ed25519-sha1"), PermError, "sha1"},
		{"expired", zoneOf(key), expired, PermError, "expired"},
		{"From not signed", zoneOf(key), replaced("h=From:From:", "h="), PermError, "From"},
		{"identity of others", zoneOf(key), replaced(" s=e1;", " s=e1; i=@example.net;"), PermError, "mismatch"},
		{"not a list of tags", zoneOf(key), "DKIM-Signature: hello\r\n" + plain, PermError, "malformed"},
		{"selector that is no name", zoneOf(key), replaced("s=e1;", "s=a/../b;"), PermError, "malformed domain or selector"},
		{"domain that is no name", zoneOf(key), replaced("d=example.com", "d=example.com/x"), PermError, "malformed domain or selector"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Verify(t.Context(), tt.zone, strings.NewReader(tt.msg))
			if err != nil || len(got) != 1 {
				t.Fatalf("%v, %v", got, err)
			}
			text := ""
			if got[0].Err != nil {
				text = got[0].Err.Error()
			}
			if got[0].Result != tt.want || !strings.Contains(text, tt.text) || (text == "") != (tt.want == Pass) {
				t.Errorf("%s: %s, want %s: %s", got[0].Result, text, tt.want, tt.text)
			}
			for _, asked := range tt.zone.asked {
				if asked != name {
					t.Errorf("asked for %q", asked)
				}
			}
		})
	}
}

func TestVerifyRefusesWhatCannotBeJudged(t *testing.T) {
	key := generate(t, "example.com", "e1", Ed25519)
	good := signed(t, &Signer{Keys: keys(key)}, plain)
	for name, tt := range map[string]struct {
		msg string
		err error
	}{
		"From put on top":        {"From: eve@example.net\r\n" + good, ErrManyFrom},
		"no From":                {"Subject: x\r\n\r\n", ErrNoFrom},
		"blank before the colon": {"Subject : x\r\n" + good, ErrMalformed},
		"header too large":       {"X: " + strings.Repeat("x", 100<<10) + "\r\n" + good, ErrHeaderTooLarge},
		"4,000 signatures":       {strings.Repeat("DKIM-Signature: v=1\r\n", 4000) + good, ErrTooManyFields},
		"names without end":      {"DKIM-Signature: v=1; h=" + strings.Repeat("a:", 200) + "From\r\n" + plain, ErrRepeated},
		"blank lines":            {good + strings.Repeat("\r\n", 200_000), ErrBlankLines},
		"bare CR":                {good + "\r\r\n", ErrLineEnds},
	} {
		z := zoneOf(key)
		if got, err := Verify(t.Context(), z, strings.NewReader(tt.msg)); got != nil || !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, tt.err)
		}
	}
	if got, err := Verify(t.Context(), zoneOf(), strings.NewReader(plain)); got != nil || err != nil {
		t.Errorf("without a signature: %v, %v", got, err)
	}
}

func TestNoMoreThanFiveSignaturesAreVerified(t *testing.T) {
	key, other := generate(t, "example.com", "e1", Ed25519), generate(t, "example.com", "e2", Ed25519)
	msg := signed(t, &Signer{Keys: keys(other, key, other, key, other, key, key)}, plain)
	z := zoneOf(key)
	got, err := Verify(t.Context(), z, strings.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	var results []string
	for _, v := range got {
		results = append(results, fmt.Sprint(v.Selector, " ", v.Result))
	}
	if diff := cmp.Diff([]string{"e2 permerror", "e1 pass", "e2 permerror", "e1 pass", "e2 permerror"}, results); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(z.asked) != 5 {
		t.Errorf("%d look-ups", len(z.asked))
	}
}

func TestVerifyReturnsTheErrorOfItsReaderAndLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	key := generate(t, "example.com", "e1", Ed25519)
	broken := errors.New("broken")
	for _, n := range []int{1, 2, 5} {
		var k []Key
		for range n {
			k = append(k, key)
		}
		msg := signed(t, &Signer{Keys: keys(k...)}, plain)
		for _, at := range []int{0, 10, len(msg) - 5, len(msg)} {
			got, err := Verify(t.Context(), zoneOf(key), io.MultiReader(strings.NewReader(msg[:at]), iotest.ErrReader(broken)))
			if got != nil || !errors.Is(err, broken) {
				t.Errorf("%d signatures, after %d octets: %v, %v", n, at, got, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got, err := Verify(ctx, zoneOf(key), strings.NewReader(msg)); got != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%d signatures, cancelled: %v, %v", n, got, err)
		}
	}
}
