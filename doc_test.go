package panelmail_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// program is the lines between a first and a last one, without an indent.
func program(t *testing.T, file, first, last, indent string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, body, found := strings.Cut(string(text), first)
	end := strings.LastIndex(body, last)
	if !found || end < 0 {
		t.Fatalf("%s: no program between %q and %q", file, first, last)
	}
	var lines []string
	for line := range strings.Lines(body[:end]) {
		lines = append(lines, strings.TrimPrefix(strings.TrimRight(line, "\n"), indent))
	}
	return lines
}

func TestTheProgramOfTheFrontPageIsTheQuickstartAndShort(t *testing.T) {
	shown := program(t, "doc.go", "// # A whole server\n//\n", "//\n// It is examples/quickstart", "//\t")
	runs := program(t, "examples/quickstart/main.go", "func main() {\n", "}\n", "\t")
	if diff := cmp.Diff(runs, shown); diff != "" {
		t.Errorf("the program that runs and the one shown differ (-runs +shown):\n%s", diff)
	}
	if len(shown) >= 25 {
		t.Errorf("%d lines, want fewer than 25", len(shown))
	}
}
