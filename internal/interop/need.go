package interop

import (
	"os"
	"os/exec"
	"testing"
)

// Need returns the path of a program that a test uses as a judge, looked for
// in PATH and in /usr/sbin. A test without its program is skipped with a
// message; where CI is set in the environment it fails, because there the
// program is installed and a silent skip would hide that it is not.
func Need(t testing.TB, program string) string {
	t.Helper()
	path, err := find(program)
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") != "":
		t.Fatalf("%s is not installed: .ci/run names the packages", program)
	default:
		t.Skipf("%s is not installed: .ci/run names the packages", program)
	}
	return ""
}

// NeedRoot skips a test that cannot work without being root, as [Need] does.
func NeedRoot(t testing.TB) {
	t.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("CI") != "":
		t.Fatal("needs root")
	default:
		t.Skip("needs root")
	}
}

// NeedTime skips a test with -short: one that spends seconds on driving other
// processes, of which a race detector in this one sees nothing.
func NeedTime(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("drives other processes; not with -short")
	}
}

// find looks a program up; the daemons' directory is not in everybody's PATH.
func find(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return exec.LookPath("/usr/sbin/" + program)
	}
	return path, nil
}

// NeedFile skips a test without a file that a Debian package brings, as [Need]
// does without a program.
func NeedFile(t testing.TB, path string) {
	t.Helper()
	_, err := os.Stat(path)
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("%v: .ci/run names the packages", err)
	default:
		t.Skipf("%v: .ci/run names the packages", err)
	}
}
