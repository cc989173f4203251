package interop_test

import (
	"database/sql"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/queue"
)

// Another process, this one, has a transaction open on the server's database for
// ten seconds. Who submits is asked to come again, who commands is told what is
// the matter, and afterwards all goes on.
func TestATransactionOfTenSecondsIsSurvived(t *testing.T) {
	for name, beside := range map[string]bool{"commands through the server": false, "commands beside it": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			surviveTransaction(t, beside)
		})
	}
}

func surviveTransaction(t *testing.T, beside bool) {
	p := newPanel(t, `relay.networks = ["127.0.0.0/8"]`)
	p.submitAll(t, 1)
	p.arrives(t, 1)
	other, err := mailcore.Open(t.Context(), p.Database(), mailcore.Config{Hostname: "panel.test"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for e, err := range other.Queue().Events(t.Context(), queue.Trail{Follow: true, Kinds: []queue.Kind{queue.Delivered}}) {
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s is settled", e.ID)
		break
	}
	if beside {
		p.hideSocket(t)
	}
	begun, done := make(chan struct{}), make(chan error, 1)
	over := time.NewTimer(time.Hour)
	go func() {
		done <- other.Queue().Update(t.Context(), func(*sql.Tx) error {
			over.Reset(10 * time.Second)
			close(begun)
			<-over.C
			return nil
		})
	}()
	<-begun

	var during sync.WaitGroup
	during.Go(func() { p.isPutOff(t) })
	for _, command := range [][]string{{"queue", "hold", "--all"}, {"site", "add", "late"}, {"postsuper", "-d", "ALL"}} {
		during.Go(func() { p.isTold(t, command...) })
	}
	if list := p.do(t, "", "queue", "list"); list != "the queue is empty\n" { // reading waits for nobody
		t.Errorf("the queue: %s", list)
	}
	during.Wait()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	p.submitAll(t, 1)
	p.arrives(t, 2)
	if log := p.Log(); strings.Contains(log, "panic") {
		t.Errorf("a panic")
	}
}

// isPutOff submits a message that cannot be stored now.
func (p *panel) isPutOff(t *testing.T) {
	c, err := interop.NewSubmitter(t.Context(), p.Addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	_, err = c.Send("me@shop.example", []string{"lost@far.example"}, interop.Stuffed([]byte("Subject: x\r\n\r\nx\r\n")))
	var refusal *interop.Refusal
	if !errors.As(err, &refusal) || !strings.HasPrefix(refusal.Reply, "451 4.3.") {
		t.Errorf("the answer while the database is busy: %v", err)
	}
	if _, err := c.Command("NOOP"); err != nil {
		t.Errorf("the session afterwards: %v", err)
	}
}

// isTold runs a command that may do its work or fail, but not in SQLite's words.
func (p *panel) isTold(t *testing.T, command ...string) {
	out, err := exec.Command(p.Binary, append([]string{"--data", filepath.Join(p.Dir, "data"), "--config", filepath.Join(p.Dir, "panelmail.toml")}, command...)...).CombinedOutput()
	if strings.Contains(string(out), "locked") || err != nil && !strings.Contains(string(out), "another program is writing") && !strings.HasPrefix(string(out), "0 messages") {
		t.Errorf("%s: %v: %s", strings.Join(command, " "), err, out)
	}
}
