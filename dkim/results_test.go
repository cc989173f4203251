package dkim_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/authres"
	"github.com/google/go-cmp/cmp"

	. "github.com/panelmail/panelmail/dkim"
)

// verified are the results for a message.
func verified(t testing.TB, z *zone, msg string) []Verification {
	t.Helper()
	found, err := Verify(t.Context(), z, strings.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestResultsAreWrittenInTheWordsOfRFC8601(t *testing.T) {
	key, gone := generate(t, "example.com", "e1", Ed25519), generate(t, "example.com", "r1", RSA2048)
	msg := signed(t, &Signer{Keys: keys(key, gone)}, plain)
	found := verified(t, zoneOf(key), msg)
	got, err := AuthenticationResults("mx.example.net", found)
	if err != nil {
		t.Fatal(err)
	}
	first, second, _ := strings.Cut(msg, "\r\nDKIM-Signature:")
	want := "Authentication-Results: mx.example.net;\r\n" +
		"\tdkim=pass\r\n\theader.d=example.com\r\n\theader.s=e1\r\n\theader.a=ed25519-sha256\r\n\theader.b=\"" + tags(first)["b"][:8] + "\";\r\n" +
		"\tdkim=permerror reason=\"no valid key found\"\r\n\theader.d=example.com\r\n\theader.s=r1\r\n\theader.a=rsa-sha256\r\n\theader.b=\"" + tags("x:" + second)["b"][:8] + "\"\r\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, value, _ := strings.Cut(strings.NewReplacer("\r\n", "").Replace(got), ":")
	id, parsed, err := authres.Parse(value)
	if id != "mx.example.net" || len(parsed) != 2 || err != nil {
		t.Errorf("read as %q, %v, %v", id, parsed, err)
	}
}

func TestNoSignatureIsAResult(t *testing.T) {
	got, err := AuthenticationResults("mx.example.net", nil)
	if want := "Authentication-Results: mx.example.net; dkim=none\r\n"; got != want || err != nil {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	for _, id := range []string{"", "mx.example.net; dkim=pass", "mx\r\nX: y", "mx example"} {
		if got, err := AuthenticationResults(id, nil); got != "" || !errors.Is(err, ErrDomain) {
			t.Errorf("%q: %q, %v", id, got, err)
		}
	}
}

// TestClaimsOfASignatureCannotForgeAResult has signatures whose tags are made to look like
// something else once they are copied.
func TestClaimsOfASignatureCannotForgeAResult(t *testing.T) {
	for _, field := range []string{
		"v=1; a=rsa-sha256; d=bank.example(; s=x; i=@bank.example(; b=\"aaa; bh=x; h=from",
		"v=1; a=rsa-sha256) dkim=pass; d=bank.example header.d=x; s=x dkim=pass; b=a(\\; bh=x; h=from",
		"v=1; a=\"; d=\"; s=\"; i=@\"; b=\"; bh=\"; h=from",
		"v=1; a=\x1b[1m; d=\x1b[1m.example; s=ÿ; b=\x01; bh=x; h=from",
		"v=1; a=rsa-sha256; d=a.example;\r\n\tdkim=pass header.d=bank.example; s=x; b=aaaa; bh=x; h=from",
	} {
		found := verified(t, zoneOf(), "DKIM-Signature: "+field+"\r\n"+plain)
		got, err := AuthenticationResults("mx.example.net", found)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(got, "pass") || strings.Contains(got, "bank.example ") || strings.Count(got, `"`)%2 != 0 || strings.ContainsAny(got, "()\\\x1b\x01ÿ") {
			t.Errorf("%q makes %q", field, got)
		}
	}
}

func TestForgedResultsAreFound(t *testing.T) {
	const us = "mx.example.net"
	for value, want := range map[string]bool{
		"mx.example.net; dkim=pass":                        true,
		" MX.Example.NET;dkim=pass":                        true,
		"mx.example.net 1; dkim=pass":                      true,
		"mx.example.net":                                   true,
		"mx.example.net.; dkim=pass":                       true,
		"mx.example.net(c); dkim=pass":                     true,
		"\"mx.example.net\"; dkim=pass":                    true,
		"\"mx\\.example.net\"; dkim=pass":                  true,
		"(c) (n(e)s\\)ted)\t mx.example.net; dkim=pass":    true,
		"(c)\r\n mx.example.net; dkim=pass":                true,
		"other.example; dkim=pass header.d=mx.example.net": false,
		"(mx.example.net) other.example; dkim=pass":        false,
		"\"other.example\"; dkim=pass":                     false,
		"sub.mx.example.net; dkim=pass":                    false,
		"mx.example.net.evil.example; dkim=pass":           false,
		"":                                                 true, // from nobody
		"; dkim=pass":                                      true,
		"(c":                                               true,
		"\"mx.example.net":                                 true,
	} {
		if got := ClaimsToBe(us, value); got != want {
			t.Errorf("%q: %t", value, got)
		}
	}
	if !ClaimsToBe("xn--bcher-kva.example", "Bücher.example; dkim=pass") {
		t.Error("U-labels are not known as ours")
	}
}
