package rfc5322_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	. "github.com/panelmail/panelmail/internal/rfc5322"
)

// read reads a header that has to be readable, and what follows it.
func read(t *testing.T, text string) (*Header, string) {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(text))
	h, err := ReadHeader(r, Limits{})
	if err != nil {
		t.Fatalf("%.60q: %v", text, err)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return h, string(body)
}

func TestReadHeaderEndsWhereTheBodyBegins(t *testing.T) {
	type parts struct {
		Fields []string
		Bytes  string
		Body   string
		Bad    error
	}
	long := strings.Repeat("x", 10_000)
	for _, tt := range []struct {
		name, in string
		want     parts
	}{
		{"plain", "A: 1\r\nB: 2\r\n\r\nbody\r\n", parts{[]string{"A=1", "B=2"}, "A: 1\r\nB: 2\r\n\r\n", "body\r\n", nil}},
		{"LF", "A: 1\nB:2\n\nbody", parts{[]string{"A=1", "B=2"}, "A: 1\nB:2\n\n", "body", nil}},
		{"no fields", "\r\nA: 1\r\n", parts{nil, "\r\n", "A: 1\r\n", nil}},
		{"no body", "A: 1\r\n\r\n", parts{[]string{"A=1"}, "A: 1\r\n\r\n", "", nil}},
		{"folded", "A: 1\r\n 2\r\n\t 3\r\n\r\n", parts{[]string{"A=1 2\t 3"}, "A: 1\r\n 2\r\n\t 3\r\n\r\n", "", nil}},
		{"empty values", "A:\r\nB: \r\n\r\n", parts{[]string{"A=", "B="}, "A:\r\nB: \r\n\r\n", "", nil}},
		{"long line", "A: " + long + "\r\n\r\n", parts{[]string{"A=" + long}, "A: " + long + "\r\n\r\n", "", nil}},
		{"8-bit value", "A: \xff\r\n\r\n", parts{[]string{"A=\xff"}, "A: \xff\r\n\r\n", "", nil}},
		{"odd name", "a/b!{}: 1\r\n\r\n", parts{[]string{"a/b!{}=1"}, "a/b!{}: 1\r\n\r\n", "", nil}},
		{"colon in value", "A: b: c\r\n\r\n", parts{[]string{"A=b: c"}, "A: b: c\r\n\r\n", "", nil}},
		{"blanks only are a continuation", "A: 1\r\n \r\n\r\n", parts{[]string{"A=1"}, "A: 1\r\n \r\n\r\n", "", nil}},

		{"no blank line", "A: 1\r\nbody\r\n", parts{[]string{"A=1"}, "A: 1\r\n\r\n", "body\r\n", ErrNoSeparator}},
		{"long first line of body", "A: 1\r\n" + long, parts{[]string{"A=1"}, "A: 1\r\n\r\n", long, ErrNoSeparator}},
		{"blank in name", "A: 1\r\nB C: 2\r\n\r\n", parts{[]string{"A=1"}, "A: 1\r\n\r\n", "B C: 2\r\n\r\n", ErrNoSeparator}},
		{"no name", "A: 1\r\n: 2\r\n\r\n", parts{[]string{"A=1"}, "A: 1\r\n\r\n", ": 2\r\n\r\n", ErrNoSeparator}},
		{"8-bit name", "\xff: 2\r\n\r\n", parts{nil, "\r\n", "\xff: 2\r\n\r\n", ErrNoSeparator}},
		{"continuation first", " A: 1\r\nB: 2\r\n\r\n", parts{nil, "\r\n", " A: 1\r\nB: 2\r\n\r\n", ErrNoSeparator}},
		{"nothing", "", parts{nil, "\r\n", "", ErrNoSeparator}},
		{"one CR", "\r", parts{nil, "\r\n", "\r", ErrNoSeparator}},
		{"end after a field", "A: 1\r\n", parts{[]string{"A=1"}, "A: 1\r\n\r\n", "", ErrNoSeparator}},
		{"end in a field", "A: 1", parts{[]string{"A=1"}, "A: 1\r\n\r\n", "", ErrNoSeparator}},
		{"end in a name", "A: 1\r\nB", parts{[]string{"A=1"}, "A: 1\r\n\r\n", "B", ErrNoSeparator}},

		{"blank before the colon", "From : x\r\n\r\n", parts{[]string{"From=x"}, "From : x\r\n\r\n", "", ErrBlankName}},
		{"mailbox line", "From joe Mon Jan  1 00:00:00 2024\r\nA: 1\r\n\r\n", parts{[]string{"A=1"}, "A: 1\r\n\r\n", "", nil}},
		{"quoted mailbox line", ">From joe at 10:00\nA: 1\n\n", parts{[]string{"A=1"}, "A: 1\n\n", "", nil}},
		{"mailbox line alone", "From ", parts{nil, "\r\n", "", ErrNoSeparator}},
		{"mailbox line below", "A: 1\r\nFrom joe\r\n\r\n", parts{[]string{"A=1"}, "A: 1\r\n\r\n", "From joe\r\n\r\n", ErrNoSeparator}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{16, 4096} {
				for _, c := range chunkings {
					r := bufio.NewReaderSize(c.wrap(strings.NewReader(tt.in)), size)
					h, err := ReadHeader(r, Limits{})
					if err != nil {
						t.Fatal(err)
					}
					body, err := io.ReadAll(r)
					if err != nil {
						t.Fatal(err)
					}
					got := parts{Bytes: string(h.Bytes()), Body: string(body), Bad: h.Malformed()}
					for f := range h.Fields() {
						got.Fields = append(got.Fields, f.Name()+"="+f.Value())
					}
					if diff := cmp.Diff(tt.want, got, cmp.Comparer(is)); diff != "" {
						t.Errorf("%s, buffer of %d (-want +got):\n%s", c.name, size, diff)
					}
					if h.Size() != len(got.Bytes) {
						t.Errorf("Size is %d, Bytes has %d", h.Size(), len(got.Bytes))
					}
				}
			}
		})
	}
}

// is reports whether one error is the other, whichever of them is wrapped.
func is(a, b error) bool { return errors.Is(a, b) || errors.Is(b, a) }

func TestMalformedTellsEverything(t *testing.T) {
	h, _ := read(t, "From : x\r\nbody")
	if err := h.Malformed(); !errors.Is(err, ErrBlankName) || !errors.Is(err, ErrNoSeparator) {
		t.Error(err)
	}
}

func TestReadHeaderKeepsToItsLimits(t *testing.T) {
	line := "X: " + strings.Repeat("x", 95) + "\r\n" // 100 octets
	for _, tt := range []struct {
		name, in string
		lim      Limits
		want     error
	}{
		{"octets at the limit", strings.Repeat(line, 1024) + "\r\n", Limits{Fields: 2000}, nil},
		{"one octet more", "X" + strings.Repeat(line, 1024) + "\r\n", Limits{Fields: 2000}, ErrTooLarge},
		{"one field at the limit", "X:" + strings.Repeat("x", 100<<10-4) + "\r\n\r\n", Limits{}, nil},
		{"one field above", "X:" + strings.Repeat("x", 100<<10-3) + "\r\n\r\n", Limits{}, ErrTooLarge},
		{"one folded field above", "X:\r\n" + strings.Repeat(" x\r\n", 25_600) + "\r\n", Limits{}, ErrTooLarge},
		{"endless field", "X:" + strings.Repeat("x", 200<<10), Limits{}, ErrTooLarge},
		{"fields at the limit", strings.Repeat("X: 1\r\n", 1000) + "\r\n", Limits{}, nil},
		{"one field more", strings.Repeat("X: 1\r\n", 1001) + "\r\n", Limits{}, ErrTooManyFields},
		{"own limit of octets", "X: 1\r\n\r\n", Limits{Octets: 5}, ErrTooLarge},
		{"own limit of fields", "X: 1\r\nX: 1\r\n\r\n", Limits{Fields: 1}, ErrTooManyFields},
		{"body is not counted", "X: 1\r\n\r\n" + strings.Repeat("x", 200<<10), Limits{}, nil},
	} {
		h, err := ReadHeader(bufio.NewReader(strings.NewReader(tt.in)), tt.lim)
		if !errors.Is(err, tt.want) || (h == nil) != (tt.want != nil) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestReadHeaderReturnsTheErrorOfItsReader(t *testing.T) {
	broken := errors.New("broken")
	for _, in := range []string{"", "F", "From jo", "A", "A: 1", "A: 1\r\n", "A: 1\r\n\r"} {
		r := bufio.NewReader(io.MultiReader(strings.NewReader(in), iotest.ErrReader(broken)))
		if h, err := ReadHeader(r, Limits{}); h != nil || err != broken {
			t.Errorf("%q: %v, %v", in, h, err)
		}
	}
}

func TestFieldsAreFoundWhateverTheCaseOfTheirName(t *testing.T) {
	h, _ := read(t, "Received: one\r\nFROM : a@x\r\nreceived: two\r\nX-Empty:\r\nReceived-SPF: pass\r\n\r\n")
	type facts struct {
		Value string
		Has   bool
		Count int
	}
	for name, want := range map[string]facts{
		"Received":     {"one", true, 2},
		"From":         {"a@x", true, 1},
		"X-EMPTY":      {"", true, 1},
		"Received-SPF": {"pass", true, 1},
		"To":           {"", false, 0},
		"":             {"", false, 0},
	} {
		if diff := cmp.Diff(want, facts{h.Get(name), h.Has(name), h.Count(name)}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if h.Len() != 5 {
		t.Errorf("Len is %d", h.Len())
	}
}

func TestDelRemovesEveryFieldOfAName(t *testing.T) {
	h, _ := read(t, "Bcc: a\r\n b\r\nTo: x\r\nBCC : c\r\n\r\n")
	if n := h.Del("bcc"); n != 2 {
		t.Errorf("Del says %d", n)
	}
	if got, want := string(h.Bytes()), "To: x\r\n\r\n"; got != want {
		t.Errorf("%q is left, want %q", got, want)
	}
	if n := h.Del("bcc"); n != 0 {
		t.Errorf("Del says %d", n)
	}
}

func TestPrependPutsFieldsOnTop(t *testing.T) {
	h, _ := read(t, "To: x\r\n\r\n")
	if err := h.Prepend([]byte("A: 1\r\n 2\r\nB: 3\r\n")); err != nil {
		t.Fatal(err)
	}
	if got, want := string(h.Bytes()), "A: 1\r\n 2\r\nB: 3\r\nTo: x\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if h.Get("b") != "3" {
		t.Error("a prepended field is not found")
	}
}

func TestPrependTakesNothingButFields(t *testing.T) {
	for _, text := range []string{
		"\r\n", "A", "A: 1", "A: 1\n", "A: 1\r", "A: 1\r\n\r\n", "A: 1\r\nB\r\n", " A: 1\r\n", "A : 1\r\n",
		"A: 1\rB: 2\r\n", "A: \x00\r\n", ": 1\r\n", "A: 1\r\n\r\nB: 2\r\n", "A: 1\nB: 2\r\n",
	} {
		h, _ := read(t, "To: x\r\n\r\n")
		if err := h.Prepend([]byte(text)); !errors.Is(err, ErrFieldSyntax) {
			t.Errorf("%q: %v", text, err)
		}
		if got := string(h.Bytes()); got != "To: x\r\n\r\n" {
			t.Errorf("%q: header is now %q", text, got)
		}
	}
	var h Header
	if err := h.Prepend(nil); err != nil || string(h.Bytes()) != "\r\n" {
		t.Errorf("nothing: %v, %q", err, h.Bytes())
	}
}

func TestFieldsGivesTheExactOctets(t *testing.T) {
	want := []string{"A:1\r\n\t2\r\n", "b : 3\n"}
	h, _ := read(t, strings.Join(want, "")+"\n")
	var got []string
	for f := range h.Fields() {
		got = append(got, string(f.Raw()))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzReadHeader(f *testing.F) {
	for _, s := range []string{
		"", "\r\n", "A: 1\r\n\r\nb", "A: 1\r\n 2\r\n\r\n", "From joe\nA: 1\n\n", "A : 1\n\nb", " x", "A: 1", "A\r\n",
		">From : x\r\n\r\n", "\xff: 1\r\n", "A: 1\r", "A:\r\n\r\r\n", strings.Repeat("A", 40) + ": 1\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReaderSize(strings.NewReader(string(in)), 16)
		h, err := ReadHeader(r, Limits{Octets: 500, Fields: 10})
		if err != nil {
			if !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrTooManyFields) {
				t.Fatal(err)
			}
			return
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		whole := string(h.Bytes()) + string(body)
		if !errors.Is(h.Malformed(), ErrNoSeparator) && !strings.HasSuffix(string(in), whole) {
			t.Fatalf("%q reads as %q and %q", in, h.Bytes(), body)
		}
		again, err := ReadHeader(bufio.NewReader(strings.NewReader(whole)), Limits{})
		if err != nil || string(again.Bytes()) != string(h.Bytes()) || again.Len() != h.Len() {
			t.Fatalf("%q reads as %q, then as %q, %v", in, h.Bytes(), again.Bytes(), err)
		}
		for f := range h.Fields() {
			if f.Name() == "" || !h.Has(f.Name()) || h.Count(f.Name()) == 0 {
				t.Fatalf("%q: field %q is not found", in, f.Raw())
			}
		}
	})
}

func ExampleReadHeader() {
	r := bufio.NewReader(strings.NewReader("Subject: a long\r\n story\r\nTo: you@example.test\r\n\r\nBody.\r\n"))
	h, err := ReadHeader(r, Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(h.Get("subject"))
	body, _ := io.ReadAll(r)
	fmt.Printf("%s", body)
	// Output:
	// a long story
	// Body.
}
