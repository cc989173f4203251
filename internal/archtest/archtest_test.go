package archtest_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/internal/archtest"
)

// allowedLong names the files and functions that may be longer than the limit,
// each with its reason.
var allowedLong = []string{}

func TestTheModuleKeepsItsShape(t *testing.T) {
	m, err := archtest.Load("../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Packages) < 3 {
		t.Fatalf("only %d packages found", len(m.Packages))
	}
	for name, bad := range map[string][]string{
		"imports go down":                      archtest.CheckFloors(m),
		"SQL has its rooms":                    archtest.CheckSQL(m),
		"no internal type shows":               archtest.CheckSurface(m),
		"files and functions are short enough": archtest.CheckLength(m, allowedLong),
	} {
		t.Run(name, func(t *testing.T) {
			slices.Sort(bad)
			for _, text := range bad {
				t.Error(text)
			}
		})
	}
}

func TestPlantedViolationsAreFound(t *testing.T) {
	m, err := archtest.Load("testdata/planted")
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]string{
		"floors":  archtest.CheckFloors(m),
		"sql":     archtest.CheckSQL(m),
		"surface": archtest.CheckSurface(m),
		"length":  archtest.CheckLength(m, []string{"srs.Allowed", "srs.Stale"}),
	} {
		t.Run(name, func(t *testing.T) {
			want, err := os.ReadFile("testdata/" + name + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(bad)
			got := strings.Join(bad, "\n") + "\n"
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestABrokenModuleIsAnError(t *testing.T) {
	for _, file := range []struct{ name, text string }{
		{"a file that does not parse", "package broken\n\nfunc {\n"},
		{"a file that does not type-check", "package broken\n\nvar X int = \"\"\n"},
		{"an import that is not there", "package broken\n\nimport _ \"broken.test/nowhere\"\n"},
	} {
		t.Run(file.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir+"/go.mod", "module broken.test\n\ngo 1.26\n")
			write(t, dir+"/broken.go", file.text)
			if _, err := archtest.Load(dir); err == nil {
				t.Error("no error")
			}
		})
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
