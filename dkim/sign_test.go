package dkim_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

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

func TestFieldsPutAboveAreSignedAndHaveNoPartInTheLimits(t *testing.T) {
	const from, date = "From: ann@example.com\r\n", "Date: Sat, 1 Jan 2000 00:00:00 +0000\r\n"
	key := generate(t, "example.com", "e1", Ed25519)
	for name, below := range map[string]string{
		"100 KiB":      "X: " + strings.Repeat("x", 100<<10-5) + "\r\n\r\nbody\r\n",
		"1,000 fields": strings.Repeat("X:\r\n", 1000) + "\r\nbody\r\n",
	} {
		s := &Signer{Keys: keys(key), Above: []byte(date + from)}
		fields, err := s.Sign(t.Context(), "example.com", strings.NewReader(below))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := judge(t, published(key), fields+date+from+below); fmt.Sprint(got) != "[example.com]" {
			t.Errorf("%s: %v", name, got)
		}
	}
	for above, want := range map[string]error{
		from:                  ErrManyFrom,
		"X: no line end":      ErrMalformed,
		"no field\r\n":        ErrMalformed,
		date + "\r\nbody\r\n": ErrMalformed,
	} {
		s := &Signer{Keys: keys(key), Above: []byte(above)}
		if _, err := s.Sign(t.Context(), "example.com", strings.NewReader(from+"\r\nbody\r\n")); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", above, err, want)
		}
	}
}

// signed signs a message that has to be good, for example.com.
func signed(t testing.TB, s *Signer, msg string) string {
	t.Helper()
	fields, err := s.Sign(t.Context(), "example.com", strings.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	return fields + msg
}

func TestMessagesThatAreReadInTwoWaysAreRefused(t *testing.T) {
	s := &Signer{Keys: keys(generate(t, "example.com", "e1", Ed25519))}
	const from = "From: ann@example.com\r\n"
	type reply struct {
		Code     int
		Enhanced [3]int
		Text     string
	}
	malformed := reply{554, [3]int{5, 6, 0}, "malformed message header"}
	for _, tt := range []struct {
		name, msg string
		err       error
		reply     reply
	}{
		{"no From", "To: a@example.com\r\n\r\nbody\r\n", ErrNoFrom, reply{554, [3]int{5, 6, 0}, "message has no From field"}},
		{"no field", "\r\nFrom: ann@example.com\r\n", ErrNoFrom, reply{554, [3]int{5, 6, 0}, "message has no From field"}},
		{"two From", from + "FROM: bob@example.com\r\n\r\nbody\r\n", ErrManyFrom, reply{554, [3]int{5, 6, 0}, "message has more than one From field"}},
		{"blank before the colon", "Subject : x\r\n" + from + "\r\nbody\r\n", ErrMalformed, malformed},
		{"blank before the colon of From", "From : x\r\n\r\nbody\r\n", ErrMalformed, malformed},
		{"blank before the colon of another From", from + "From : x\r\n\r\nbody\r\n", ErrMalformed, malformed},
		{"tab before the colon", from + "Subject\t: x\r\n\r\nbody\r\n", ErrMalformed, malformed},
		{"continuation on top", " x\r\n" + from + "\r\nbody\r\n", ErrMalformed, malformed},
		{"blank line missing", from + "body\r\n", ErrMalformed, malformed},
		{"header alone", from, ErrMalformed, malformed},
		{"nothing", "", ErrMalformed, malformed},
		{"mailbox line", "From ann Sat Nov 21 12:00:00 2026\r\n" + from + "\r\nbody\r\n", ErrMalformed, malformed},
		{"quoted mailbox line", ">From ann Sat Nov 21 12:00:00 2026\r\n" + from + "\r\nbody\r\n", ErrMalformed, malformed},
		{"8-bit name", from + "Sübject: x\r\n\r\nbody\r\n", ErrMalformed, malformed},
		{"bare CR in the header", from + "Subject: a\rb\r\n\r\nbody\r\n", ErrLineEnds, reply{554, [3]int{5, 6, 0}, "message has a bare CR or NUL"}},
		{"bare CR in the body", from + "\r\na\rb\r\n", ErrLineEnds, reply{554, [3]int{5, 6, 0}, "message has a bare CR or NUL"}},
		{"NUL in the body", from + "\r\na\x00b\r\n", ErrLineEnds, reply{554, [3]int{5, 6, 0}, "message has a bare CR or NUL"}},
		{"header too large", from + "X: " + strings.Repeat("x", 100<<10) + "\r\n\r\nbody\r\n", ErrHeaderTooLarge, reply{552, [3]int{5, 3, 4}, "message header too large"}},
		{"too many fields", from + strings.Repeat("X:\r\n", 1000) + "\r\nbody\r\n", ErrTooManyFields, reply{552, [3]int{5, 3, 4}, "too many header fields"}},
		{"one field too often", from + strings.Repeat("Content-Transfer-Encoding: 8bit\r\n", 40) + "\r\nbody\r\n", ErrRepeated, reply{554, [3]int{5, 6, 0}, "header fields repeated too often"}},
		{"too many blank lines", from + "\r\na\r\n" + strings.Repeat(" \r\n", 100_000) + "b\r\n", ErrBlankLines, reply{554, [3]int{5, 6, 0}, "too many blank lines in a row"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, in := range map[string]io.Reader{
				"whole":          strings.NewReader(tt.msg),
				"octet by octet": iotest.OneByteReader(strings.NewReader(tt.msg)),
			} {
				fields, err := s.Sign(t.Context(), "example.com", in)
				if fields != "" || !errors.Is(err, tt.err) {
					t.Fatalf("%s: %q, %v, want %v", name, fields, err, tt.err)
				}
				var r interface {
					SMTPReply() (int, [3]int, string)
				}
				if !errors.As(err, &r) {
					t.Fatalf("%s: %v is no reply", name, err)
				}
				var got reply
				got.Code, got.Enhanced, got.Text = r.SMTPReply()
				if diff := cmp.Diff(tt.reply, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

func TestBlankLinesUpToTheLimitAreSigned(t *testing.T) {
	key := generate(t, "example.com", "e1", Ed25519)
	msg := signed(t, &Signer{Keys: keys(key)}, "From: ann@example.com\r\n\r\na\r\n"+strings.Repeat("\r\n", 99_999)+"b\r\n")
	if got := judge(t, published(key), msg); fmt.Sprint(got) != "[example.com]" {
		t.Error(got)
	}
}

// tags are those of the first signature, without blanks.
func tags(msg string) map[string]string {
	field, _, _ := strings.Cut(strings.ReplaceAll(msg, "\r\n ", " "), "\r\n")
	_, field, _ = strings.Cut(field, ":")
	found := map[string]string{}
	for spec := range strings.SplitSeq(strings.ReplaceAll(field, " ", ""), ";") {
		if name, value, ok := strings.Cut(spec, "="); ok {
			found[name] = value
		}
	}
	return found
}

func TestSignatureHasTheTagsItShould(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		key := generate(t, "Example.com", "e1", Ed25519)
		for lifetime, expires := range map[time.Duration]string{0: "", 48 * time.Hour: fmt.Sprint(now.Add(48 * time.Hour).Unix())} {
			got := tags(signed(t, &Signer{Keys: keys(key), Lifetime: lifetime}, plain))
			for _, varies := range []string{"b", "bh"} {
				if got[varies] == "" {
					t.Errorf("no %s=", varies)
				}
				delete(got, varies)
			}
			want := map[string]string{
				"v": "1", "a": "ed25519-sha256", "c": "relaxed/relaxed", "d": "example.com", "s": "e1", "t": fmt.Sprint(now.Unix()),
				"h": "From:From:Subject:Subject:To:To:Cc:Reply-To:Date:Date:Message-ID:Message-ID:MIME-Version:Content-Type:Content-Transfer-Encoding",
			}
			if expires != "" {
				want["x"] = expires
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("lifetime %v (-want +got):\n%s", lifetime, diff)
			}
		}
	})
}

func TestSignatureExpiresWhenItShould(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := generate(t, "example.com", "e1", Ed25519)
		msg := signed(t, &Signer{Keys: keys(key), Lifetime: time.Hour}, plain)
		time.Sleep(time.Hour)
		if got := judge(t, published(key), msg); fmt.Sprint(got) != "[example.com]" {
			t.Errorf("after an hour: %v", got)
		}
		time.Sleep(time.Second)
		if got := judge(t, published(key), msg); fmt.Sprint(got) != "[dkim: signature has expired]" {
			t.Errorf("after an hour and a second: %v", got)
		}
	})
}

// TestHeaderFieldsOfTraceAreNotSigned has fields that servers on the way add or remove.
func TestHeaderFieldsOfTraceAreNotSigned(t *testing.T) {
	msg := "Received: by a\r\nReturn-Path: <a@example.com>\r\nX-Mailer: x\r\nDKIM-Signature: v=1\r\nAuthentication-Results: a; none\r\n" +
		"Sender: a@example.com\r\nList-Unsubscribe: <https://example.com/>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" +
		"From: ann@example.com\r\nTo: a@example.com\r\nTO: b@example.com\r\nKeywords: a\r\n\r\n"
	got := tags(signed(t, &Signer{Keys: keys(generate(t, "example.com", "e1", Ed25519))}, msg))["h"]
	want := "From:From:Subject:To:To:To:Cc:Reply-To:Date:Message-ID:MIME-Version:Content-Type:Content-Transfer-Encoding:Sender:List-Unsubscribe:List-Unsubscribe-Post"
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAFieldPutOnTopBreaksTheSignature(t *testing.T) {
	key := generate(t, "example.com", "e1", Ed25519)
	full := "Cc: c@example.com\r\nReply-To: r@example.com\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\n" + plain
	for _, msg := range []string{plain, full} {
		msg := signed(t, &Signer{Keys: keys(key)}, msg)
		for _, name := range []string{"From", "Subject", "To", "Cc", "Reply-To", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"} {
			got := judge(t, published(key), name+": x\r\n"+msg)
			if len(got) != 1 || !strings.Contains(got[0], "did not verify") {
				t.Errorf("%s: %v", name, got)
			}
		}
		for _, name := range []string{"Received", "Return-Path", "X-Spam", "List-Id"} {
			if got := judge(t, published(key), name+": x\r\n"+msg); fmt.Sprint(got) != "[example.com]" {
				t.Errorf("%s: %v", name, got)
			}
		}
	}
}

func TestKeysAreAskedForByDomain(t *testing.T) {
	key := generate(t, "example.com", "e1", Ed25519)
	broken := errors.New("broken")
	var asked []string
	s := &Signer{Keys: KeyStoreFunc(func(_ context.Context, domain string) ([]Key, error) {
		asked = append(asked, domain)
		switch domain {
		case "mail.example.com":
			return []Key{key}, nil
		case "broken.example":
			return nil, broken
		}
		return nil, nil
	})}
	type outcome struct {
		Domain string // of the signature
		Read   bool
		Err    error
	}
	for domain, want := range map[string]outcome{
		"Mail.Example.com.":      {"example.com", true, nil},
		"other.example":          {"", false, nil},
		"broken.example":         {"", false, broken},
		"bücher.example":         {"", false, nil},
		"a.test;\r\nEvil: y":     {"", false, ErrDomain},
		"srs0=x=y=z@example.com": {"", false, ErrDomain},
	} {
		in := &counted{r: strings.NewReader(plain)}
		fields, err := s.Sign(t.Context(), domain, in)
		got := outcome{tags(fields)["d"], in.n > 0, err}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b error) bool { return errors.Is(a, b) || errors.Is(b, a) })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", domain, diff)
		}
	}
	for _, domain := range asked {
		if strings.ToLower(domain) != domain || strings.Contains(domain, "ü") {
			t.Errorf("asked for %s", domain)
		}
	}
}

func TestLineFeedsAreSignedAsTheyWillBeSent(t *testing.T) {
	key := generate(t, "example.com", "e1", Ed25519)
	fields, err := (&Signer{Keys: keys(key)}).Sign(t.Context(), "example.com", strings.NewReader(strings.ReplaceAll(plain, "\r\n", "\n")))
	if err != nil {
		t.Fatal(err)
	}
	if got := judge(t, published(key), fields+plain); fmt.Sprint(got) != "[example.com]" {
		t.Error(got)
	}
}

func TestAnErrorOfTheReaderIsTheErrorAndLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := &Signer{Keys: keys(generate(t, "example.com", "e1", Ed25519), generate(t, "example.com", "e2", Ed25519))}
	broken := errors.New("broken")
	for n := range len(plain) + 1 {
		_, err := s.Sign(t.Context(), "example.com", io.MultiReader(strings.NewReader(plain[:n]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) {
			t.Errorf("after %d octets: %v", n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	endless := io.MultiReader(strings.NewReader(plain), readerFunc(func(p []byte) (int, error) {
		cancel()
		return copy(p, "more\r\n"), nil
	}))
	if _, err := s.Sign(ctx, "example.com", endless); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// readerFunc is a function that is an io.Reader.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

var large = flag.Int("large", 6, "`MiB` of a large message, which is signed in less than one")

func TestLargeMessageIsSignedInConstantMemory(t *testing.T) {
	rsa, ed := generate(t, "example.com", "r1", RSA2048), generate(t, "example.com", "e1", Ed25519)
	s := &Signer{Keys: keys(rsa, ed)}
	size := int64(*large) << 20
	const most = 1 << 20
	for name, line := range map[string]string{"text": strings.Repeat("0123456 ", 9) + "\r\n", "one line": "0123456789", "blanks": " \t  "} {
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var peak uint64
		left, reads := size, 0
		body := readerFunc(func(p []byte) (int, error) {
			if left <= 0 {
				return 0, io.EOF
			}
			if reads++; reads%20 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&now)
				peak = max(peak, now.HeapAlloc)
			}
			n := 0
			for n+len(line) <= len(p) {
				n += copy(p[n:], line)
			}
			left -= int64(n)
			return n, nil
		})
		fields, err := s.Sign(t.Context(), "example.com", io.MultiReader(strings.NewReader(plain), body))
		if err != nil || strings.Count(fields, "DKIM-Signature:") != 2 {
			t.Fatalf("%s: %v\n%s", name, err, fields)
		}
		if reads < 20 {
			t.Fatalf("%s: %d reads: memory was not looked at", name, reads)
		}
		if peak > before.HeapAlloc+most {
			t.Errorf("%s: %d octets of memory in use, %d before", name, peak, before.HeapAlloc)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	msg := plain + strings.Repeat("a line of an honest message of common length, as people write\r\n", 60)
	for _, alg := range []Algorithm{RSA2048, Ed25519} {
		b.Run(string(alg), func(b *testing.B) {
			s := &Signer{Keys: keys(generate(b, "example.com", "s1", alg))}
			b.SetBytes(int64(len(msg)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Sign(b.Context(), "example.com", strings.NewReader(msg)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
