package srs

import (
	"crypto/sha1"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// newYear is when the addresses in the tests were made: day IL.
var newYear = time.Date(2024, 1, 1, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// newRewriter returns one for fwd.example.net.
func newRewriter(t testing.TB, secrets ...string) *Rewriter {
	t.Helper()
	var octets [][]byte
	for _, s := range secrets {
		octets = append(octets, []byte(s))
	}
	r, err := New("fwd.example.net", octets...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheHashHasEightCharactersAndFewerAreRefused(t *testing.T) {
	r := newRewriter(t, "tops3cr3t")
	got, err := r.forwardAt(newYear, "alice@example.com")
	if want := "SRS0=dZZwRBWP=IL=example.com=alice@fwd.example.net"; got != want || err != nil {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	const digest = "dZZwRBWPcKrx62xVCrdzHO7bmiM"
	for n := range len(digest) + 1 {
		a := "SRS0=" + digest[:n] + "=IL=example.com=alice@fwd.example.net"
		if _, err := r.reverseAt(newYear, a); (err == nil) != (n >= 8) || err != nil && !errors.Is(err, ErrHash) {
			t.Errorf("a hash of %d characters: %v", n, err)
		}
	}
}

func TestShorterHashesAreTakenWhereThatIsAsked(t *testing.T) {
	r := newRewriter(t, "tops3cr3t")
	r.MinHashLength = 4
	for hash, want := range map[string]error{
		"dZZ": ErrHash, "dZZw": nil, "dZZwR": nil, "dZZwRBWP": nil,
		"dZZwx": ErrHash, "dZZwRBWx": ErrHash, // what is there must be right
	} {
		_, err := r.reverseAt(newYear, "SRS0="+hash+"=IL=example.com=alice@fwd.example.net")
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v, want %v", hash, err, want)
		}
	}
}

func TestAnAddressIsGoodForTwentyOneDaysOfUTCAndFromMidnightOn(t *testing.T) {
	r := newRewriter(t, "s")
	for wrap := range 3 { // the last of them over the end of the 1,024 days
		made := time.Date(2023, 4, 8-wrap*200, 23, 59, 59, 0, time.UTC)
		a, err := r.forwardAt(made, "alice@example.com")
		if err != nil {
			t.Fatal(err)
		}
		midnight := made.Truncate(day)
		for after, want := range map[time.Duration]error{
			-time.Second:             ErrExpired,
			0:                        nil,
			22*day - time.Nanosecond: nil,
			22 * day:                 ErrExpired,
			500 * day:                ErrExpired,
			1024*day - time.Second:   ErrExpired,
			1024 * day:               nil, // days are counted modulo 1,024
			(1024+22)*day - 1:        nil,
			(1024 + 22) * day:        ErrExpired,
		} {
			if _, err := r.reverseAt(midnight.Add(after), a); !errors.Is(err, want) {
				t.Errorf("made %v, %v after: %v, want %v", made, after, err, want)
			}
		}
	}
	r.MaxAge = 1
	a, _ := r.forwardAt(newYear, "alice@example.com")
	if _, err := r.reverseAt(newYear.Add(2*day), a); !errors.Is(err, ErrExpired) {
		t.Errorf("two days old, and one allowed: %v", err)
	}
}

func TestTheClockIsTheSystems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRewriter(t, "s")
		a, err := r.Forward("alice@example.com")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(21 * day)
		if got, err := r.Reverse(a); got != "alice@example.com" || err != nil {
			t.Errorf("after 21 days: %q, %v", got, err)
		}
		time.Sleep(day)
		if _, err := r.Reverse(a); !errors.Is(err, ErrExpired) {
			t.Errorf("after 22 days: %v", err)
		}
	})
}

func TestWhatASecretSignedIsVerifiedForAsLongAsItIsThere(t *testing.T) {
	rings := [][]string{{"a"}, {"b", "a"}, {"c", "b", "a"}, {"d", "c", "b"}}
	var made []string
	for _, ring := range rings {
		a, err := newRewriter(t, ring...).forwardAt(newYear, "alice@example.com")
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, a)
	}
	var got [][]bool
	for _, ring := range rings {
		var row []bool
		for _, a := range made {
			_, err := newRewriter(t, ring...).reverseAt(newYear, a)
			row = append(row, err == nil)
		}
		got = append(got, row)
	}
	want := [][]bool{
		{true, false, false, false},
		{true, true, false, false},
		{true, true, true, false},
		{false, true, true, true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rings by addresses (-want +got):\n%s", diff)
	}
}

func TestEveryHashCostsOneHMACASecretAndNoMore(t *testing.T) {
	computed := 0
	r := newRewriter(t, "a", "b", "c", "d", "e")
	own, err := r.forwardAt(newYear, "alice@example.com")
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range r.secrets {
		r.secrets[i] = func(text string) [sha1.Size]byte {
			computed++
			return s(text)
		}
	}
	long := strings.Repeat("x", 1<<20)
	for a, want := range map[string]int{
		own: 5, // those after the right one as well
		"SRS0=AAAAAAAA=IL=example.com=alice@fwd.example.net":          5,
		"SRS0=AAAAAAAA=AA=example.com=alice@fwd.example.net":          5, // out of date, and forged
		"SRS1=AAAAAAAA=example.com==AAAA=IL=x=alice@fwd.example.net":  5,
		"SRS0=A=IL=example.com=alice@fwd.example.net":                 0,
		"SRS0=AAAAAAAA=IL=example.com@fwd.example.net":                0,
		"SRS0=AAAAAAAA=I0=example.com=alice@fwd.example.net":          0,
		"SRS1=AAAAAAAA=example.com=alice@fwd.example.net":             0,
		"SRS0=AAAAAAAA=IL=example.com=" + long + "@fwd.example.net":   0,
		`"SRS0=AAAAAAAA=IL=example.com=` + long + `"@fwd.example.net`: 0,
		"alice@fwd.example.net":                                       0,
	} {
		computed = 0
		if _, err := r.reverseAt(newYear, a); computed != want || (err == nil) != (a == own) {
			t.Errorf("%.60s: %d HMACs, want %d; %v", a, computed, want, err)
		}
	}
	computed = 0
	if _, err := r.forwardAt(newYear, "alice@example.com"); computed != 1 || err != nil {
		t.Errorf("forward: %d HMACs, want 1; %v", computed, err)
	}
}

func TestFieldsWithoutSenseAreRefused(t *testing.T) {
	for want, set := range map[string]func(*Rewriter){
		"srs: Separator is '_', want =, + or -":                     func(r *Rewriter) { r.Separator = '_' },
		"srs: HashLength is 3, want 4 to 27":                        func(r *Rewriter) { r.HashLength = 3 },
		"srs: HashLength is 28, want 4 to 27":                       func(r *Rewriter) { r.HashLength = 28 },
		"srs: MinHashLength is 3, want 4 to HashLength, which is 8": func(r *Rewriter) { r.MinHashLength = 3 },
		"srs: MinHashLength is 9, want 4 to HashLength, which is 8": func(r *Rewriter) { r.MinHashLength = 9 },
		"srs: MaxAge is -1 days, want up to 1000":                   func(r *Rewriter) { r.MaxAge = -1 },
		"srs: MaxAge is 1001 days, want up to 1000":                 func(r *Rewriter) { r.MaxAge = 1001 },
		"srs: MaxLocalPart is -1, want octets":                      func(r *Rewriter) { r.MaxLocalPart = -1 },
	} {
		r := newRewriter(t, "s")
		set(r)
		_, forward := r.Forward("alice@example.com")
		_, reverse := r.Reverse("SRS0=dZZwRBWP=IL=example.com=alice@fwd.example.net")
		if fmt.Sprint(forward) != want || fmt.Sprint(reverse) != want {
			t.Errorf("%v; %v; want %s", forward, reverse, want)
		}
	}
	for _, n := range []int{4, 27} {
		r := newRewriter(t, "s")
		r.HashLength = n
		a, err := r.Forward("alice@example.com")
		if got, err2 := r.Reverse(a); got != "alice@example.com" || err != nil || err2 != nil {
			t.Errorf("%d characters: %s is %s; %v, %v", n, a, got, err, err2)
		}
	}
}

func TestARewriterNeedsADomainAndSecrets(t *testing.T) {
	secret := []byte("s")
	for want, make := range map[string]func() (*Rewriter, error){
		"srs: the domain for rewritten addresses: no domain":        func() (*Rewriter, error) { return New("", secret) },
		"srs: the domain for rewritten addresses: malformed domain": func() (*Rewriter, error) { return New("a b", secret) },
		"srs: there is no secret":                                   func() (*Rewriter, error) { return New("x.test") },
		"srs: secret 2 of 2 is empty":                               func() (*Rewriter, error) { return New("x.test", secret, nil) },
	} {
		if r, err := make(); r != nil || fmt.Sprint(err) != want {
			t.Errorf("%v, %v; want %s", r, err, want)
		}
	}
}

func TestASecretIsCopied(t *testing.T) {
	secret := []byte("tops3cr3t")
	r, err := New("fwd.example.net", secret)
	if err != nil {
		t.Fatal(err)
	}
	clear(secret)
	got, err := r.forwardAt(newYear, "alice@example.com")
	if want := "SRS0=dZZwRBWP=IL=example.com=alice@fwd.example.net"; got != want || err != nil {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

func TestNothingPrintsASecret(t *testing.T) {
	const canary = "canary-in-the-mine"
	r := newRewriter(t, canary, canary+"2")
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "r", r, "v", *r)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "r", r, "v", *r)
	_, refused := r.Reverse("SRS0=AAAAAAAA=IL=example.com=alice@fwd.example.net")
	octets := strings.Trim(fmt.Sprint([]byte(canary)), "[]")
	all := fmt.Sprint(string(text), log.String(), refused)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		all += fmt.Sprintf(verb, r) + fmt.Sprintf(verb, *r)
	}
	for _, trace := range []string{canary, octets, strings.ReplaceAll(octets, " ", ", "), fmt.Sprintf("%x", canary)} {
		if strings.Contains(all, trace) {
			t.Errorf("%s is in %s", trace, all)
		}
	}
}
