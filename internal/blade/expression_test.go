package blade_test

import (
	"encoding/hex"
	"flag"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/internal/blade"
)

var update = flag.Bool("update", false, "ask PHP for the values in testdata/expressions.txt")

// A line of expressions.txt is an expression, " = " behind blanks, and the value
// that PHP 8.2 has, or "an error".
const expressionsFile = "testdata/expressions.txt"

func TestExpressionsComeToWhatPHPMakesOfThem(t *testing.T) {
	text, err := os.ReadFile(expressionsFile)
	if err != nil {
		t.Fatal(err)
	}
	var code, want []string
	for line := range strings.Lines(string(text)) {
		expression, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  = ")
		code = append(code, strings.TrimSpace(expression))
		want = append(want, value)
	}
	if *update {
		record(t, code)
		return
	}
	for i := range code {
		got := "an error"
		if value, err := blade.Evaluate(code[i], judgeVars()); err == nil {
			got = readable(value)
		}
		if got != want[i] {
			t.Errorf("%s\n is  %s\n not %s", code[i], got, want[i])
		}
	}
}

func TestEveryFunctionIsInTheTableOfExpressions(t *testing.T) {
	text, err := os.ReadFile(expressionsFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range blade.Functions() {
		if !regexp.MustCompile(`\b` + name + `\(`).Match(text) {
			t.Errorf("%s() is in no expression", name)
		}
	}
}

func record(t *testing.T, code []string) {
	var b strings.Builder
	for i, value := range ask(t, judgeVars(), code) {
		if value == "" {
			value = "an error"
		}
		b.WriteString(code[i] + "  = " + readable(value) + "\n")
	}
	if err := os.WriteFile(expressionsFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// readable is a dump with its strings in quotes.
func readable(dump string) string {
	return regexp.MustCompile(`string:[0-9a-f]*`).ReplaceAllStringFunc(dump, func(s string) string {
		octets, err := hex.DecodeString(strings.TrimPrefix(s, "string:"))
		if err != nil {
			return s
		}
		return strconv.Quote(string(octets))
	})
}
