package postmap_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/postmap"
)

// scan reads everything, one text a row.
func scan(r io.Reader) (rows []string) {
	sc := postmap.NewScanner(r, postmap.Limits{Row: 20, Text: 200})
	for sc.Scan() {
		pattern, value, err := sc.Row()
		if err != nil {
			rows = append(rows, fmt.Sprintf("%d %v", sc.Line(), err))
			continue
		}
		rows = append(rows, fmt.Sprintf("%d %s=%s", sc.Line(), pattern, value))
	}
	if line, err := sc.Err(); err != nil {
		rows = append(rows, fmt.Sprintf("%d %v", line, err))
	}
	return rows
}

func TestRowsAreReadAsPostmapReadsThem(t *testing.T) {
	for _, row := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"#\n \n\t# x\n", nil},
		{"a b", []string{"1 a=b"}},
		{"a\n", []string{"1 a="}},
		{"a  b c \r\n\nd\te\r\n", []string{"1 a=b c", "3 d=e"}},
		{"a\n b\n# \n\n\tc\nd e", []string{"1 a=b\tc", "6 d=e"}},
		{"\"a b\"@c d\na\\ b c\n\"a\\\" b\" c", []string{`1 "a b"@c=d`, `2 a\ b=c`, `3 "a\" b"=c`}},
		{" a b\nc d", []string{"1 begins with a blank, but there is no line for it to go on with", "2 c=d"}},
		{"\"a b\nc d", []string{"1 a quote is not closed", "2 c=d"}},
		{"a 345678901234567890\nb c", []string{"1 a=345678901234567890", "2 b=c"}},
		{"a 3456789012345678901\nb c", []string{"1 longer than 20 octets", "2 b=c"}},
		{"a 34567890\n 123456789\nb c", []string{"1 a=34567890 123456789", "3 b=c"}},
		{"a 34567890\n 1234567890\n 1\nb c", []string{"1 longer than 20 octets", "4 b=c"}},
		{"a b\n" + strings.Repeat("#", 196), []string{"1 a=b"}},
		{"a b\n" + strings.Repeat("#", 197), []string{"1 a=b", "2 the text is longer than 200 octets"}},
	} {
		for name, r := range map[string]io.Reader{
			"at once": strings.NewReader(row.text), "by the octet": iotest.OneByteReader(strings.NewReader(row.text)),
		} {
			if diff := cmp.Diff(row.want, scan(r)); diff != "" {
				t.Errorf("%q %s:\n%s", row.text, name, diff)
			}
		}
	}
	broken := io.MultiReader(strings.NewReader("a b\nc d\n"), iotest.ErrReader(errors.New("disk on fire")))
	if diff := cmp.Diff([]string{"1 a=b", "2 c=d", "3 disk on fire"}, scan(broken)); diff != "" {
		t.Error(diff)
	}
}

func TestOfManyProblemsAHundredAreTold(t *testing.T) {
	var p postmap.Problems
	if p.Err() != nil {
		t.Error("a problem, but there is none")
	}
	for i := range 102 {
		p.Add(fmt.Errorf("problem %d", i))
	}
	told := strings.Split(p.Err().Error(), "\n")
	if len(told) != 101 || told[99] != "problem 99" || told[100] != "and 2 problems more" {
		t.Errorf("%d are told, the last as %q", len(told), told[len(told)-1])
	}
}
