//go:build unix

package transport_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/panelmail/panelmail/transport"
)

func makeFIFO(path string) error { return syscall.Mkfifo(path, 0o600) }

func TestNamesThatChangeDuringADeliveryLeadNowhere(t *testing.T) {
	top := t.TempDir()
	root, outside := filepath.Join(top, "root"), filepath.Join(top, "outside")
	for _, dir := range []string{root, outside, root + "/real", root + "/sister"} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(makeFIFO(root+"/pipe"), os.Symlink(outside, root+"/out"), os.Symlink("sister", root+"/in"))
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var swapper sync.WaitGroup
	swapper.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			os.Rename(root+"/bob", fmt.Sprint(root, "/made", i)) // by a delivery
			name := root + "/" + []string{"real", "pipe", "out", "in"}[i%4]
			os.Rename(name, root+"/bob")
			os.Rename(root+"/bob", name)
		}
	})
	m := &transport.Maildir{Root: root, Hostname: "us.test"}
	for range 100 {
		if o := m.Deliver(t.Context(), maildirMail("bob", "a@x.test"))[0]; !o.Delivered() && !o.Deferred() {
			t.Error(short(o))
		}
	}
	close(stop)
	swapper.Wait()
	for name := range contents(t, top) {
		if !strings.HasPrefix(name, "root/real/") && !strings.HasPrefix(name, "root/bob/") && !strings.HasPrefix(name, "root/made") {
			t.Errorf("%s was made", name)
		}
	}
}

func TestWhatRootDeliversBelongsToTheOwnerOfTheDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	root := t.TempDir()
	home := filepath.Join(root, "shop")
	if err := errors.Join(os.Mkdir(home, 0o700), os.Chown(home, 4711, 4712)); err != nil {
		t.Fatal(err)
	}
	m := &transport.Maildir{Root: root, Hostname: "us.test"}
	if o := m.Deliver(t.Context(), maildirMail("shop/mail/bob", "a@x.test"))[0]; !o.Delivered() {
		t.Fatal(short(o))
	}
	files, _ := filepath.Glob(home + "/mail/bob/new/*")
	for _, path := range append(files, home+"/mail", home+"/mail/bob", home+"/mail/bob/tmp", home+"/mail/bob/new", home+"/mail/bob/cur") {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if s := info.Sys().(*syscall.Stat_t); s.Uid != 4711 || s.Gid != 4712 {
			t.Errorf("%s is of %d:%d", path, s.Uid, s.Gid)
		}
	}
	if len(files) != 1 {
		t.Errorf("files %q", files)
	}
}
