package interop_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
)

// A shortage is a server that lacks something, and a sink behind it.
type shortage struct {
	*mailer
	server *interop.Standalone
	sink   *interop.Sink
	mu     sync.Mutex // of what is acknowledged to several at once
}

// newShortage starts the server with its state in dir, run by a shell that has set
// limits before.
func newShortage(t *testing.T, dir, limits string, settings ...string) *shortage {
	t.Helper()
	binary, err := interop.BuildStandalone(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &shortage{sink: &interop.Sink{}}
	if err := s.sink.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.sink.Close() })
	s.server = &interop.Standalone{
		Binary: binary, Dir: filepath.Join(dir, "state"), SmartHost: s.sink.Addr,
		Settings: append([]string{`queue.min_free = "0"`, `queue.backoff_min = "1s"`, `queue.backoff_max = "2s"`}, settings...),
		Wrapper:  []string{"/bin/sh", "-c", limits + `; exec "$@"`, "sh"},
	}
	if err := s.server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.server.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			log := s.server.Log()
			t.Logf("end of the log:\n%s", log[max(0, len(log)-4000):])
		}
	})
	s.mailer = &mailer{t: t, addr: s.server.Addr}
	return s
}

// recovers waits for mail to be taken again, five seconds at most, and for all that
// was acknowledged to arrive.
func (s *shortage) recovers() {
	s.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; {
		refused := s.send()
		if refused == "" {
			break
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("five seconds after the end of the shortage: %s", refused)
		}
	}
	s.allArrive(s.sink)
}

// shortDir is a directory on a disk, with a name that leaves room for sockets'.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "short")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// TestADiskWithoutInodesLosesNothing starts the server before and after they are
// used up: it needs new files only at its start.
func TestADiskWithoutInodesLosesNothing(t *testing.T) {
	disk := newDisk(t, "size=64m,nr_inodes=100")
	s := newShortage(t, disk.dir, ":")
	if refused := s.send(); refused != "" {
		t.Fatal(refused)
	}
	var fill []string
	for i := 0; ; i++ {
		name := filepath.Join(disk.dir, fmt.Sprint("file", i))
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			break
		}
		fill = append(fill, name)
	}
	taken := 0
	for range 50 {
		switch refused := s.send(); {
		case refused == "":
			taken++
		case !strings.HasPrefix(refused, "4"):
			t.Errorf("without inodes: %s", refused)
		}
	}
	if err := s.server.Kill(); err != nil {
		t.Fatal(err)
	}
	again := s.server.Start(t.Context())
	for _, name := range fill {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if again != nil {
		if err := s.server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.recovers()
	t.Logf("inodes: files=%d taken=%d refused=%d restarted_without=%v acked=%d arrived=%d lost=0",
		len(fill), taken, 50-taken, again == nil, len(s.acked), s.sink.Count())
}

// TestSixtyFourFileDescriptorsLoseNothing opens a hundred connections to a server
// that may have 64 descriptors.
func TestSixtyFourFileDescriptorsLoseNothing(t *testing.T) {
	interop.NeedTime(t)
	s := newShortage(t, shortDir(t), "ulimit -n 64")
	if refused := s.send(); refused != "" {
		t.Fatal(refused)
	}
	var all, tried sync.WaitGroup
	var mu sync.Mutex
	taken, refused, away := 0, 0, 0
	tried.Add(100)
	for i := range 100 {
		all.Go(func() {
			reply, err := s.try(i, &tried)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				away++ // nobody answers, or hangs up: the client comes again
			case reply == "":
				taken++
			case strings.HasPrefix(reply, "4"):
				refused++
			default:
				t.Errorf("without descriptors: %s", reply)
			}
		})
	}
	all.Wait()
	s.recovers()
	t.Logf("descriptors: limit=64 connections=100 taken=%d refused=%d away=%d acked=%d arrived=%d lost=0",
		taken, refused, away, len(s.acked), s.sink.Count())
}

// try is send for times when there may be nobody to talk to. It keeps its connection
// until all others have tried as well.
func (s *shortage) try(i int, tried *sync.WaitGroup) (refused string, err error) {
	conn, err := net.DialTimeout("tcp", s.server.Addr, time.Second)
	if err == nil {
		defer conn.Close()
	}
	defer tried.Wait()
	defer tried.Done()
	if err != nil {
		return "", err
	}
	if err := conn.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
		return "", err
	}
	name := fmt.Sprintf("try-%d.", i)
	r := bufio.NewReader(conn)
	for _, line := range []string{
		"", "HELO client.test\r\n", "MAIL FROM:<a@shop.example>\r\n", "RCPT TO:<b@customer.example>\r\n", "DATA\r\n",
		"Subject: " + name + "\r\n\r\n" + strings.Repeat("x", 70) + "\r\n.\r\n",
	} {
		if _, err := io.WriteString(conn, line); err != nil {
			return "", err
		}
		reply, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		if reply[0] > '3' {
			return reply, nil
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked = append(s.acked, name)
	return "", nil
}

// TestSixtyFourMebibytesAreEnough has fifty messages of ten megabytes handed in at
// once to a server in a memory cgroup. Also watched is the server's own memory, without
// pages of files, the program among them, which the system can take back.
func TestSixtyFourMebibytesAreEnough(t *testing.T) {
	interop.NeedTime(t)
	const limit, messages, size = 64 << 20, 50, 10_000_000
	enter, group := memoryGroup(t, limit)
	s := newShortage(t, shortDir(t), enter)
	s.sink.Close() // nobody reads meanwhile
	line := strings.Repeat("x", 76) + "\r\n"
	content := interop.Stuffed([]byte("Subject: large\r\n\r\n" + strings.Repeat(line, size/len(line))))
	most, done := int64(0), make(chan struct{})
	var watch, clients sync.WaitGroup
	watch.Go(func() {
		for {
			if u, err := interop.MeasureTree(s.server.PID()); err == nil {
				most = max(most, u.Anonymous)
			}
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	var mu sync.Mutex
	taken, refused := 0, 0
	for range messages {
		clients.Go(func() {
			c, err := interop.NewSubmitter(t.Context(), s.server.Addr)
			if err == nil {
				defer c.Close()
				c.Timeout = 2 * time.Minute
				_, err = c.Send("a@shop.example", []string{"b@customer.example"}, content)
			}
			mu.Lock()
			defer mu.Unlock()
			var refusal *interop.Refusal
			switch {
			case err == nil:
				taken++
			case errors.As(err, &refusal) && strings.HasPrefix(refusal.Reply, "4"):
				refused++
			default:
				t.Errorf("a client: %v", err)
			}
		})
	}
	clients.Wait()
	close(done)
	watch.Wait()
	held, err := s.server.Command(t.Context(), "queue", "list")
	if err != nil {
		t.Error(err)
	}
	killed := oomKills(group)
	t.Logf("memory: limit=%d cgroup=%v taken=%d refused=%d anonymous=%d oom_kills=%d", limit, group != "", taken, refused, most, killed)
	if n := strings.Count(held, "customer.example"); n != taken || killed > 0 || most > limit || taken == 0 {
		t.Errorf("%d of %d acknowledged messages in the queue:\n%.2000s", n, taken, held)
	}
}

// memoryGroup makes a cgroup (version 1 or 2) with a limit, and returns the shell
// command that enters it. Without the right to make one, both are empty.
func memoryGroup(t *testing.T, limit int) (enter, group string) {
	t.Helper()
	for _, v := range []struct{ dir, limit string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"},
	} {
		group := filepath.Join(v.dir, fmt.Sprint("panelmail", os.Getpid()))
		if os.Mkdir(group, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { os.Remove(group) })
		if os.WriteFile(filepath.Join(group, v.limit), []byte(fmt.Sprint(limit)), 0o600) == nil {
			return "echo $$ >" + group + "/cgroup.procs", group
		}
	}
	t.Log("no right to make a memory cgroup: the server's own memory is watched")
	return ":", ""
}

// oomKills is how many processes of a group the kernel has killed.
func oomKills(group string) (n int) {
	for _, name := range []string{"memory.oom_control", "memory.events"} {
		text, err := os.ReadFile(filepath.Join(group, name))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			fmt.Sscanf(line, "oom_kill %d", &n)
		}
	}
	return n
}
