package interop_test

import (
	"runtime"
	"testing"

	"github.com/panelmail/panelmail/internal/interop"
)

// verdict is a testing.TB that remembers how a test would have ended.
type verdict struct {
	testing.TB
	said string
}

func (v *verdict) Helper()                   {}
func (v *verdict) Skipf(string, ...any)      { v.said = "skipped"; runtime.Goexit() }
func (v *verdict) Fatalf(f string, _ ...any) { v.said = "failed"; runtime.Goexit() }

func TestAMissingProgramSkipsOrFailsInCI(t *testing.T) {
	for _, row := range []struct{ program, ci, want string }{
		{"sh", "", ""},
		{"sh", "true", ""},
		{"no-such-program", "", "skipped"},
		{"no-such-program", "true", "failed"},
	} {
		t.Setenv("CI", row.ci)
		v := verdict{TB: t}
		var path string
		done := make(chan struct{})
		go func() {
			defer close(done)
			path = interop.Need(&v, row.program)
		}()
		<-done
		if v.said != row.want || (path != "") != (row.want == "") {
			t.Errorf("CI=%q: %s: %q %q, want %q", row.ci, row.program, path, v.said, row.want)
		}
	}
}

func TestAMissingFileSkipsOrFailsInCI(t *testing.T) {
	for _, row := range []struct{ file, ci, want string }{
		{"need_test.go", "true", ""},
		{"no-such-file", "", "skipped"},
		{"no-such-file", "true", "failed"},
	} {
		t.Setenv("CI", row.ci)
		v := verdict{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			interop.NeedFile(&v, row.file)
		}()
		<-done
		if v.said != row.want {
			t.Errorf("CI=%q: %s: %q, want %q", row.ci, row.file, v.said, row.want)
		}
	}
}
