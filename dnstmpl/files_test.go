package dnstmpl_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/internal/interop"
)

// These files do not exist. That somebody tries to open them shows in a trace where
// templates begin and end.
const (
	beginMark = "/panelmail-templates-begin"
	endMark   = "/panelmail-templates-end"
)

func TestNoTemplateOpensAFile(t *testing.T) {
	interop.NeedTime(t)
	strace := interop.Need(t, "strace")
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(strace, "-f", "-e", "trace=%file,%network,execve", "-o", trace, os.Args[0], "-test.run=^TestTemplatesAreRenderedForATrace$")
	cmd.Env = append(os.Environ(), "PANELMAIL_TRACED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	_, after, begun := strings.Cut(string(text), beginMark)
	during, _, ended := strings.Cut(after, endMark)
	if !begun || !ended {
		t.Fatalf("the marks are not in the trace:\n%s", text)
	}
	during = during[strings.IndexByte(during, '\n')+1 : strings.LastIndexByte(during, '\n')+1] // without the marks' own lines
	for line := range strings.Lines(during) {
		if strings.Contains(line, "(") && !strings.Contains(line, "resumed>") {
			t.Errorf("a template did this: %s", line)
		}
	}
}

// TestTemplatesAreRenderedForATrace is the other process of TestNoTemplateOpensAFile.
func TestTemplatesAreRenderedForATrace(t *testing.T) {
	if os.Getenv("PANELMAIL_TRACED") == "" {
		t.Skip("is run by another test")
	}
	texts := slices.Concat(hostile, hostileBlade)
	for _, test := range broken {
		texts = append(texts, test.text)
	}
	mark(t, beginMark)
	for _, text := range texts {
		for _, parse := range []func(name, text string) (*dnstmpl.Template, error){dnstmpl.Parse, dnstmpl.ParseBlade} {
			if tmpl, err := parse("/etc/passwd", text); err == nil {
				_, _ = tmpl.Render(example())
			}
		}
	}
	mark(t, endMark)
}

func mark(t *testing.T, path string) {
	if f, err := os.Open(path); err == nil {
		f.Close()
		t.Fatalf("%s exists", path)
	}
}
