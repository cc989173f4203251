package interop_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
)

// A small disk is a file system of its own, which a test can fill.
type smallDisk struct {
	t   *testing.T
	dir string
}

func newSmallDisk(t *testing.T, octets int) smallDisk {
	t.Helper()
	return newDisk(t, fmt.Sprintf("size=%d", octets))
}

// newDisk takes the options of a tmpfs.
func newDisk(t *testing.T, options string) smallDisk {
	t.Helper()
	if testing.Short() {
		t.Skip("it drives other processes")
	}
	interop.NeedRoot(t)
	dir, err := os.MkdirTemp("", "disk") // socket names are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	d := smallDisk{t, dir}
	if err := syscall.Mount("none", d.dir, "tmpfs", 0, options); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mount a tmpfs: %v", err)
		}
		t.Skipf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.dir, 0); err != nil {
			t.Error(err)
		}
	})
	return d
}

// fill leaves that much room, or a page less.
func (d smallDisk) fill(left int64) {
	d.t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &s); err != nil {
		d.t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(d.dir, "ballast"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	_, err = io.CopyN(f, zeros{}, int64(s.Bavail)*int64(s.Bsize)-left)
	if err != nil && !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatal(err)
	}
}

func (d smallDisk) empty() {
	d.t.Helper()
	if err := os.Remove(filepath.Join(d.dir, "ballast")); err != nil {
		d.t.Fatal(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// mailer submits numbered messages and remembers which were acknowledged.
type mailer struct {
	t     *testing.T
	addr  string
	next  int
	acked []string
}

// send submits a message and returns the refusal, or "" if it was taken.
func (m *mailer) send() string {
	m.t.Helper()
	s, err := interop.NewSubmitter(m.t.Context(), m.addr)
	if err != nil {
		m.t.Fatal(err)
	}
	defer s.Close()
	m.next++
	name := fmt.Sprintf("message-%d.", m.next)
	content := "Subject: " + name + "\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 300)
	_, err = s.Send("a@shop.example", []string{"b@customer.example"}, interop.Stuffed([]byte(content)))
	var refusal *interop.Refusal
	if errors.As(err, &refusal) {
		return refusal.Reply
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.acked = append(m.acked, name)
	return ""
}

// allArrive waits until the sink has each acknowledged message, whole.
func (m *mailer) allArrive(sink *interop.Sink) {
	m.t.Helper()
	deadline := time.After(time.Minute)
	for {
		more, missing := sink.Arrived(), 0
		got := sink.Messages()
		for _, name := range m.acked {
			n := 0
			for _, g := range got {
				if bytes.Contains(g.Raw, []byte("\r\nSubject: "+name)) && bytes.HasSuffix(g.Raw, []byte("x\r\n")) {
					n++
				}
			}
			if n == 0 {
				missing++
			}
		}
		if missing == 0 {
			return
		}
		select {
		case <-more:
		case <-deadline:
			m.t.Fatalf("%d of %d acknowledged messages are missing", missing, len(m.acked))
		}
	}
}

func TestAFullDiskRefusesMailWith452AndLosesNone(t *testing.T) {
	for _, tt := range []struct {
		name    string
		minFree string
		left    int64 // room on the disk when it counts as full
	}{
		{"below the room that must stay free", "16MiB", 8 << 20},
		{"to the last page", "0", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			disk := newSmallDisk(t, 64<<20)
			binary, err := interop.BuildStandalone(t.Context(), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			open := make(chan struct{}) // until then the sink defers
			sink := &interop.Sink{Answer: func(verb, _ string) string {
				select {
				case <-open:
					return ""
				default:
				}
				if verb == "RCPT" {
					return "451 4.7.1 later"
				}
				return ""
			}}
			if err := sink.Start(); err != nil {
				t.Fatal(err)
			}
			defer sink.Close()
			server := &interop.Standalone{
				Binary: binary, Dir: filepath.Join(disk.dir, "state"), SmartHost: sink.Addr,
				Settings: []string{`queue.min_free = "` + tt.minFree + `"`, `queue.backoff_min = "1s"`, `queue.backoff_max = "2s"`},
			}
			if err := server.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := server.Stop(); err != nil {
					t.Error(err)
				}
				if t.Failed() {
					t.Logf("log:\n%s", server.Log())
				}
			}()

			m := &mailer{t: t, addr: server.Addr}
			for range 20 {
				if refused := m.send(); refused != "" {
					t.Fatal(refused)
				}
			}
			disk.fill(tt.left)
			refusals := 0
			for range 200 {
				if refused := m.send(); refused != "" {
					refusals++
					if !strings.HasPrefix(refused, "452 4.3.1 ") {
						t.Errorf("on a full disk: %s", refused)
					}
				}
			}
			if refusals < 50 {
				t.Errorf("%d refusals of 200", refusals)
			}
			close(open)
			disk.empty()
			for deadline := time.Now().Add(5 * time.Second); ; {
				refused := m.send()
				if refused == "" {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("five seconds after there was room again: %s", refused)
				}
			}
			m.allArrive(sink)
			t.Logf("%d acknowledged, %d refused, %d arrived", len(m.acked), refusals, sink.Count())
		})
	}
}
