package interop_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/panelmail/panelmail/internal/interop"
)

func TestATreeIsMeasuredWithItsLivingAndDeadDescendants(t *testing.T) {
	before, err := interop.MeasureTree(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// The inner loop's time reaches us only through the outer shell, which
	// waits for it and is then still alive.
	cmd := exec.Command("sh", "-c", "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; echo; read x")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	shell, err := interop.MeasureTree(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	after, err := interop.MeasureTree(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if shell.CPU <= 0 || shell.PSS <= 0 || shell.RSS < shell.PSS || shell.Anonymous <= 0 || shell.Anonymous >= shell.RSS || shell.Processes != 1 {
		t.Errorf("the shell: %+v", shell)
	}
	if after.Processes != before.Processes+1 || after.CPU < before.CPU+shell.CPU {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if _, err := interop.MeasureTree(1 << 30); err == nil {
		t.Error("a process that is not there was measured")
	}
}
