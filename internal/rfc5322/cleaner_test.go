package rfc5322_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	. "github.com/panelmail/panelmail/internal/rfc5322"
)

// chunkings are ways to cut the same octets into reads.
var chunkings = []struct {
	name string
	wrap func(io.Reader) io.Reader
}{
	{"whole", func(r io.Reader) io.Reader { return r }},
	{"octet by octet", iotest.OneByteReader},
	{"by halves", iotest.HalfReader},
	{"end with the last octets", iotest.DataErrReader},
	{"halves and end with the last octets", func(r io.Reader) io.Reader { return iotest.DataErrReader(iotest.HalfReader(r)) }},
}

// outcome is what a reader gave, and what ended it: nil for io.EOF.
type outcome struct {
	Text string
	Err  error
}

// cleaned reads all of in through a Cleaner into buffers of n octets.
func cleaned(in string, mode Mode, wrap func(io.Reader) io.Reader, n int) outcome {
	c := NewCleaner(wrap(strings.NewReader(in)), mode)
	var out outcome
	for buf := make([]byte, n); ; {
		n, err := c.Read(buf)
		out.Text += string(buf[:n])
		if err == io.EOF {
			return out
		}
		if err != nil {
			out.Err = err
			return out
		}
	}
}

// checkCleaned reads in with every chunking and several buffer sizes.
func checkCleaned(t *testing.T, in string, mode Mode, want outcome) {
	t.Helper()
	for _, c := range chunkings {
		for _, n := range []int{1, 2, 100, 512, 513, 4096} {
			got := cleaned(in, mode, c.wrap, n)
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b error) bool { return errors.Is(a, b) })); diff != "" {
				t.Errorf("%q in mode %d, %s, buffer of %d (-want +got):\n%s", in, mode, c.name, n, diff)
			}
		}
	}
}

// TestCleanerLeavesNoWayToEndDataTwice has the ways to write an end of data that
// servers have disagreed on. The server has found the true end before; what
// reaches the Cleaner is the sequence inside the content.
func TestCleanerLeavesNoWayToEndDataTwice(t *testing.T) {
	for _, tt := range []struct {
		in      string // between "a" and "b"
		lenient string
		strict  error
	}{
		{"\r\n.\r\n", "\r\n.\r\n", nil},
		{"\n.\n", "\r\n.\r\n", ErrBareLF},
		{"\n.\r\n", "\r\n.\r\n", ErrBareLF},
		{"\r\n.\n", "\r\n.\r\n", ErrBareLF},
		{"\n\n.\r\n", "\r\n\r\n.\r\n", ErrBareLF},
		{"\r\n.\r\r\n", "\r\n.\r\n", ErrBareCR},
		{"\r.\r\n", "\r\n.\r\n", ErrBareCR},
		{"\r.\r", "\r\n.\r\n", ErrBareCR},
		{"\r\n.\r", "\r\n.\r\n", ErrBareCR},
		{"\n.\r", "\r\n.\r\n", ErrBareLF},
		{"\r.\n", "\r\n.\r\n", ErrBareCR},
		{"\r\n\x00.\r\n", "\r\n.\r\n", ErrNUL},
		{"\r\n.\x00\r\n", "\r\n.\r\n", ErrNUL},
		{"\r\n. \r\n", "\r\n. \r\n", nil},
		{"\r\n\r.\r\n", "\r\n\r\n.\r\n", ErrBareCR},
		{"\r\n\x1a.\r\n", "\r\n\x1a.\r\n", nil},
		{"\r\n\x0b.\r\n", "\r\n\x0b.\r\n", nil},
		{"\r\n\x85.\r\n", "\r\n\x85.\r\n", nil},
		{"\r\n\u2028.\r\n", "\r\n\u2028.\r\n", nil},
		{"\r\r\n.\r\n", "\r\n.\r\n", ErrBareCR},
		{"\r\x00\n.\r\x00\n", "\r\n.\r\n", ErrNUL},
		{"\r\n.\r\n\x00", "\r\n.\r\n", ErrNUL},
	} {
		checkCleaned(t, "a"+tt.in+"b", Lenient, outcome{"a" + tt.lenient + "b\r\n", nil})
		got := cleaned("a"+tt.in+"b", Strict, chunkings[0].wrap, 4096)
		if !errors.Is(got.Err, tt.strict) || tt.strict == nil && got.Err != nil {
			t.Errorf("strict, %q: %v, want %v", tt.in, got.Err, tt.strict)
		}
	}
}

// TestCleanerPutsBodiesRight has the bodies that must leave with CRLF alone.
func TestCleanerPutsBodiesRight(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"a", "a\r\n"},
		{"a\r\n", "a\r\n"},
		{"a\nb\n", "a\r\nb\r\n"},
		{"a\r\r\nb\r\r\n", "a\r\nb\r\n"},
		{"a\rb", "a\r\nb\r\n"},
		{"a\r", "a\r\n"},
		{"a\r\r", "a\r\n\r\n"},
		{"a\r\r\r\nb", "a\r\n\r\nb\r\n"},
		{"\r.\r", "\r\n.\r\n"},
		{"\r.\r\n", "\r\n.\r\n"},
		{"a\r\n.\r", "a\r\n.\r\n"},
		{"a\x00b\x00", "ab\r\n"},
		{"\x00", ""},
		{"a\r\x00\nb", "a\r\nb\r\n"},
		{"\r\n\n\r\r\r\n", "\r\n\r\n\r\n\r\n"},
		{"\n", "\r\n"},
		{"\r", "\r\n"},
		{strings.Repeat("x", 5000) + "\r", strings.Repeat("x", 5000) + "\r\n"},
		{strings.Repeat("0123456789\r\n", 1000), strings.Repeat("0123456789\r\n", 1000)},
		{strings.Repeat("0123456789\n", 1000), strings.Repeat("0123456789\r\n", 1000)},
		{strings.Repeat("\r", 1000), strings.Repeat("\r\n", 1000)},
		{"no end " + strings.Repeat("0123456789\r\n", 100) + "x", "no end " + strings.Repeat("0123456789\r\n", 100) + "x\r\n"},
	} {
		checkCleaned(t, tt.in, Lenient, outcome{tt.want, nil})
	}
}

func TestStrictCleanerStopsAtTheFirstBareOctet(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want outcome
	}{
		{"", outcome{"", nil}},
		{"a\r\nb\r\n", outcome{"a\r\nb\r\n", nil}},
		{"a\r\nb", outcome{"a\r\nb\r\n", nil}},
		{"a\r\nb\nc", outcome{"a\r\nb", ErrBareLF}},
		{"a\r\nb\rc", outcome{"a\r\nb", ErrBareCR}},
		{"a\r\nb\r\r\nc", outcome{"a\r\nb", ErrBareCR}},
		{"a\r\nb\r", outcome{"a\r\nb", ErrBareCR}},
		{"a\r\nb\x00c", outcome{"a\r\nb", ErrNUL}},
		{"\n", outcome{"", ErrBareLF}},
		{strings.Repeat("0123456789\r\n", 500) + "\n", outcome{strings.Repeat("0123456789\r\n", 500), ErrBareLF}},
	} {
		checkCleaned(t, tt.in, Strict, tt.want)
	}
}

func TestUnixCleanerTakesLineFeedsAndNothingElse(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want outcome
	}{
		{"", outcome{"", nil}},
		{"a\r\nb\nc", outcome{"a\r\nb\r\nc\r\n", nil}},
		{"\n\r\n\n", outcome{"\r\n\r\n\r\n", nil}},
		{"a\nb\rc", outcome{"a\r\nb", ErrBareCR}},
		{"a\nb\r\r\nc", outcome{"a\r\nb", ErrBareCR}},
		{"a\nb\r", outcome{"a\r\nb", ErrBareCR}},
		{"a\nb\x00c", outcome{"a\r\nb", ErrNUL}},
		{strings.Repeat("0123456789\n", 500), outcome{strings.Repeat("0123456789\r\n", 500), nil}},
	} {
		checkCleaned(t, tt.in, Unix, tt.want)
	}
}

func TestCleanerGivesWhatStoodBeforeAnError(t *testing.T) {
	broken := errors.New("broken")
	for _, mode := range []Mode{Lenient, Strict, Unix} {
		r := io.MultiReader(strings.NewReader("a\r\nb"), iotest.ErrReader(broken))
		got, err := io.ReadAll(NewCleaner(r, mode))
		if string(got) != "a\r\nb" || err != broken {
			t.Errorf("mode %d: %q, %v", mode, got, err)
		}
	}
}

func TestCleanerErrorStays(t *testing.T) {
	c := NewCleaner(strings.NewReader("a\nb\r\nc\r\n"), Strict)
	for range 3 {
		if _, err := io.ReadAll(c); err != ErrBareLF {
			t.Errorf("%v, want %v", err, ErrBareLF)
		}
	}
}

func TestCleanerGivesUpOnAReaderThatBringsNothing(t *testing.T) {
	for _, n := range []int{1, 4096} {
		c := NewCleaner(idle{}, Lenient)
		if _, err := c.Read(make([]byte, n)); err != io.ErrNoProgress {
			t.Errorf("buffer of %d: %v, want %v", n, err, io.ErrNoProgress)
		}
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestCleanerOfCleanContentNeedsNoBufferOfItsOwn(t *testing.T) {
	content := []byte(strings.Repeat("a line of an honest message\r\n", 140))
	buf := make([]byte, 8192)
	r := bytes.NewReader(content)
	c := NewCleaner(r, Lenient)
	n := testing.AllocsPerRun(100, func() {
		r.Reset(content)
		if n, err := c.Read(buf); n != len(content) || err != nil {
			t.Fatal(n, err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzCleaner(f *testing.F) {
	for _, s := range []string{
		"", "a", "a\r\n", "a\n", "\r\r\r\n", "\r\x00\n", "a\r", "\r\n.\r\n", "\n\r", strings.Repeat("a\r\n", 300),
	} {
		f.Add([]byte(s), uint16(1))
		f.Add([]byte(s), uint16(600))
	}
	f.Fuzz(func(t *testing.T, in []byte, size uint16) {
		n := int(size)%2000 + 1
		got := cleaned(string(in), Lenient, chunkings[0].wrap, n)
		if got.Err != nil {
			t.Fatal(got.Err)
		}
		rest := strings.ReplaceAll(got.Text, "\r\n", "")
		if strings.ContainsAny(rest, "\r\n\x00") || got.Text != "" && !strings.HasSuffix(got.Text, "\r\n") {
			t.Fatalf("%q becomes %q", in, got.Text)
		}
		if small := cleaned(string(in), Lenient, iotest.OneByteReader, 1); small != got {
			t.Fatalf("%q becomes %q, but %q octet by octet", in, got.Text, small.Text)
		}
		if again := cleaned(got.Text, Strict, iotest.HalfReader, n); again != got {
			t.Fatalf("%q becomes %q, which is not clean: %v", in, got.Text, again.Err)
		}
	})
}

func BenchmarkCleaner(b *testing.B) {
	for _, bm := range []struct{ name, line string }{
		{"clean", "a line of an honest message of common length, as people write it\r\n"},
		{"LF", "a line of an honest message of common length, as people write it\n"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			content := []byte(strings.Repeat(bm.line, 4096/len(bm.line)))
			buf := make([]byte, 32<<10)
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				c := NewCleaner(bytes.NewReader(content), Lenient)
				for {
					if _, err := c.Read(buf); err == io.EOF {
						break
					}
				}
			}
		})
	}
}
