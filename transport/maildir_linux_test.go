package transport_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/panelmail/panelmail/transport"
)

// smallDisk mounts a disk of 64 KiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	return dir
}

func TestAFullDiskDefersAndLeavesNothingInTheMaildir(t *testing.T) {
	root := smallDisk(t)
	m := &transport.Maildir{Root: root, Hostname: "us.test"}
	if got := short(m.Deliver(t.Context(), maildirMail("bob", "a@x.test"))[0]); got != "delivered 250 2.0.0 delivered to maildir" {
		t.Fatal(got)
	}
	d := maildirMail("bob", "a@x.test")
	large := "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 98)+"\r\n", 5000)
	d.Open, d.Size = contentIs(large), int64(len(large))
	if got := short(m.Deliver(t.Context(), d)[0]); got != "deferred 452 4.3.1 no space left on device, local" {
		t.Error(got)
	}
	if left := contents(t, root); len(left) != 1 {
		t.Errorf("%d files are left", len(left))
	}
}
