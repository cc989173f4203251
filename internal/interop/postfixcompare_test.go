package interop_test

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/panelmail/panelmail/internal/interop"
)

// An exchange is what one server said to one step of a dialogue: the code and
// the enhanced code of each reply, and for people the texts.
type exchange struct{ codes, texts string }

// A counterpart is one server that dialogues are held with.
type counterpart struct {
	conn net.Conn
	r    *bufio.Reader
}

// hold holds a dialogue with the server at addr. There is one exchange for the
// greeting and one for each step; the last says "closed" if the connection was
// closed instead of a reply.
func hold(ctx context.Context, addr string, steps []string) ([]exchange, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, err
	}
	c := &counterpart{conn, bufio.NewReader(conn)}
	got := []exchange{c.read(1)}
	content := false // the step is what DATA asked for
	for _, step := range steps {
		last := got[len(got)-1]
		switch {
		case strings.HasSuffix(last.codes, "closed"):
			return got, nil
		case content && !strings.HasSuffix(last.codes, "354"):
			got = append(got, exchange{codes: "not sent"})
		default:
			got = append(got, c.say(step, content))
		}
		content = strings.HasSuffix(strings.ToUpper(step), "DATA")
		if step == "STARTTLS" && strings.HasPrefix(got[len(got)-1].codes, "220") {
			t := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true}) // no names are at stake
			c.conn, c.r = t, bufio.NewReader(t)
		}
	}
	return got, nil
}

// say sends a step and reads the replies to it.
func (c *counterpart) say(step string, content bool) exchange {
	replies := 1 + strings.Count(step, "\n")
	if content {
		replies = 1
	}
	if head, _, _ := strings.Cut(step, "\n"); strings.HasPrefix(head, "BDAT ") {
		replies = 1
		c.conn.Write([]byte(step)) // a server that is gone is seen by read
	} else {
		c.conn.Write([]byte(step + "\r\n"))
	}
	return c.read(replies)
}

var enhanced = regexp.MustCompile(`^\d\d\d[ -](\d\.\d{1,3}\.\d{1,3})\b`)

// read reads n replies. Of many that are the same it keeps one.
func (c *counterpart) read(n int) exchange {
	var codes, texts []string
	for range n {
		code := ""
		for more := true; more; {
			line, err := c.r.ReadString('\n')
			if err != nil {
				return exchange{strings.Join(append(codes, "closed"), ", "), strings.Join(append(texts, err.Error()), " / ")}
			}
			line = strings.TrimRight(line, "\r\n")
			code = line[:min(3, len(line))]
			if m := enhanced.FindStringSubmatch(line); m != nil {
				code += " " + m[1]
			}
			if more = len(line) > 3 && line[3] == '-'; !more {
				texts = append(texts, line)
			}
		}
		codes = append(codes, code)
	}
	return exchange{runs(codes), strings.Join(texts[max(0, len(texts)-3):], " / ")}
}

// runs writes codes down, "250 2.1.5 x1000" for many of the same.
func runs(codes []string) string {
	var out []string
	for i := 0; i < len(codes); {
		n := 1
		for i+n < len(codes) && codes[i+n] == codes[i] {
			n++
		}
		text := codes[i]
		if n > 3 {
			text = fmt.Sprintf("%s x%d", text, n)
			out = append(out, text)
		} else {
			for range n {
				out = append(out, text)
			}
		}
		i += n
	}
	return strings.Join(out, ", ")
}

// A difference is one step that Postfix and we answer with different codes.
type difference struct{ Dialogue, Step, Postfix, Ours string }

// shortened is a step as the table of differences has it.
func shortened(step string) string {
	step = strings.Trim(strconv.QuoteToASCII(step), `"`)
	if len(step) > 60 {
		step = step[:60] + "..."
	}
	return step
}

// differences holds every dialogue with both servers.
func differences(t *testing.T, postfix, ours string) []difference {
	t.Helper()
	found := make([][]difference, len(dialogues))
	slots := make(chan struct{}, 6)
	var running sync.WaitGroup
	for i, d := range dialogues {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			theirs, err := hold(t.Context(), postfix, d.steps)
			if err != nil {
				t.Error(err)
				return
			}
			mine, err := hold(t.Context(), ours, d.steps)
			if err != nil {
				t.Error(err)
				return
			}
			found[i] = compare(t, d.name, d.steps, theirs, mine)
		})
	}
	running.Wait()
	var all []difference
	for _, f := range found {
		all = append(all, f...)
	}
	return all
}

// compare lists the steps that were answered differently.
func compare(t *testing.T, name string, steps []string, theirs, mine []exchange) []difference {
	steps = append([]string{"(greeting)"}, steps...)
	var found []difference
	for i := range max(len(theirs), len(mine)) {
		a, b := exchange{codes: "gone"}, exchange{codes: "gone"}
		if i < len(theirs) {
			a = theirs[i]
		}
		if i < len(mine) {
			b = mine[i]
		}
		if testing.Verbose() {
			t.Logf("%s: %s\n\tPostfix %s\n\tours    %s", name, shortened(steps[i]), a.texts, b.texts)
		}
		if a.codes != b.codes {
			found = append(found, difference{name, shortened(steps[i]), a.codes, b.codes})
		}
	}
	return found
}

// comparable starts a Postfix and a server with the same duties: mail for
// ours.example is relayed, shop.example is hosted and has one user, "panel" may
// log in over TLS, and nobody else may relay.
func comparable(t *testing.T) (postfix *interop.Postfix, ours *panel) {
	t.Helper()
	interop.Need(t, "saslpasswd2")
	cert, err := interop.NewCertificate("peer.test")
	if err != nil {
		t.Fatal(err)
	}
	postfix = &interop.Postfix{
		Certificate: &cert,
		Logins:      map[string]string{"panel": "right"},
		Main: []string{
			"mynetworks =",
			"smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination",
			"relay_domains = ours.example",
			"virtual_mailbox_domains = shop.example",
			"virtual_mailbox_maps = inline:{me@shop.example=x}",
			"default_transport = discard",
			"relay_transport = discard",
			"virtual_transport = discard",
			"message_size_limit = 65536",
			"disable_vrfy_command = yes",
			"smtpd_tls_auth_only = yes",
			"smtpd_helo_required = yes",
			"smtpd_forbid_bare_newline = reject",
			"smtpd_error_sleep_time = 0", // codes are compared, not patience
		},
	}
	interop.RunPostfix(t, postfix)

	ours = newPanel(t, `limits.message_size = "64KiB"`)
	ours.do(t, "", "domain", "add", "ours.example", "--site", "shop", "--class", "relay")
	ours.do(t, "", "route", "set", "me@shop.example", "discard:")
	ours.do(t, "", "route", "set", "ours.example", "discard:")
	ours.do(t, "right\n", "login", "add", "panel", "--site", "shop")
	return postfix, ours
}

func TestDialoguesAreAnsweredAsPostfixAnswersThem(t *testing.T) {
	postfix, ours := comparable(t)
	version, err := postfix.Command(t.Context(), "postconf", "-h", "mail_version")
	if err != nil {
		t.Fatal(err)
	}
	var want []difference
	for _, d := range deviations {
		want = append(want, d.steps...)
	}
	got := differences(t, postfix.Addr, ours.Addr)
	inOrder := cmpopts.SortSlices(func(a, b difference) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	if diff := gocmp.Diff(want, got, inOrder); diff != "" {
		t.Errorf("differences from Postfix %s(-documented +found):\n%s", version, diff)
	}
	t.Logf("%d dialogues, %d steps answered otherwise for %d reasons", len(dialogues), len(got), len(deviations))

	crowds := map[string]exchange{"Postfix": greeted(t, postfix.Addr, 51), "ours": greeted(t, ours.Addr, 51)}
	for name, last := range crowds {
		if last.codes != "421 4.7.0" || !strings.HasSuffix(last.texts, " Error: too many connections from 127.0.0.9") {
			t.Errorf("the 51st connection to %s: %s", name, last.texts)
		}
	}
}

// greeted makes n connections at once, from an address that had none before, and
// returns the last greeting; the others must be good.
func greeted(t *testing.T, addr string, n int) exchange {
	t.Helper()
	for i := 1; ; i++ {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
		conn, err := d.DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		greeting := (&counterpart{conn, bufio.NewReader(conn)}).read(1)
		if i == n {
			return greeting
		}
		if greeting.codes != "220" {
			t.Fatalf("connection %d to %s: %s", i, addr, greeting.texts)
		}
	}
}
