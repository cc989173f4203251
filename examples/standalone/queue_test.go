package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/queue"
)

const seeded = `ID1  deferred      233  DATE  me@shop.example  u@late.example, v@late.example (450 4.7.1 come back later)
ID2  deferred      294  DATE  <>  w@late.example (450 4.7.1 come back later)
ID3  hold          254  DATE  me@shop.example  x@held.example (waits for a person)
`

func TestTheQueueIsShown(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		first := strings.SplitAfter(seeded, "ID2")[0]
		first = strings.TrimSuffix(first, "ID2")
		third := "ID3" + strings.SplitAfter(seeded, "ID3")[1]
		l.steps(ids,
			step{args: "queue list", stdout: seeded},
			step{args: "queue list --all", stdout: seeded},
			step{args: "queue list ID1", stdout: first},
			step{args: "queue list --site shop", stdout: first + third},
			step{args: "queue list --sender me@shop.example --state waiting", stdout: first},
			step{args: "queue list --recipient v@late.example", stdout: first},
			step{args: "queue list --domain held.example", stdout: third},
			step{args: "queue list --domain @held.example", stdout: third},
			step{args: "queue list --state deferred ID1", stdout: first},
			step{args: "queue list --state incoming", status: 1, stderr: "no message matches"},
			step{args: "queue list --state failed", status: 2, stderr: `no state "failed"`},
			step{args: "queue list --site=", status: 2, stderr: "--site is empty"},
			step{args: "queue list --state= --sender=", status: 2, stderr: "is empty"},
			step{args: "queue delete --site shop --sender=", status: 2, stderr: "--sender is empty"},
			step{args: "queue rule add --site= --reason x", status: 2, stderr: "--site is empty"},
			step{args: "queue rule add --via= --reason x", status: 2, stderr: "--via is empty"},
			step{args: "trail --recipient=", status: 2, stderr: "--recipient is empty"},
			step{args: "queue list --state hold", stdout: third},
			step{args: "queue list --sender <> --state hold", status: 1, stderr: "no message matches"},
			step{args: "queue list --older-than 1d", status: 1, stderr: "no message matches"},
			step{args: "queue list --older-than 0s --site shop", stdout: first + third},
			step{args: "queue list --older-than 1w", status: 2, stderr: `"1w" is no duration`},
			step{args: "queue list --state lost", status: 2, stderr: `no state "lost"`},
			step{args: "queue list --bogus", status: 2, stderr: "-bogus"},
			step{args: "queue show ID3", stdout: `queue ID   ID3
state      hold
size       254 octets
arrived    DATE
expires    DATE
sender     me@shop.example
origin     api, site shop
recipient  x@held.example
  state    hold after 1 attempt
  due      DATE
  lane     /hold:
  reason   waits for a person
history
  DATE  queued     from me@shop.example, 254 octets, 1 recipient
  DATE  held       to x@held.example  attempt 1  (waits for a person)
`},
			step{args: "queue show nope", status: 1, stderr: "nope: queue: no such message"},
			step{args: "queue show", status: 2, stderr: "usage: panelmail queue show ID"},
			step{args: "queue cat nope", status: 1, stderr: "nope: queue: no such message"},
		)
		if got := l.do("", "queue", "cat", ids[0]); !strings.HasPrefix(got, "Received: ") || !strings.HasSuffix(got, "\r\nSubject: seed\r\n\r\nseed\r\n") {
			t.Errorf("queue cat:\n%s", got)
		}
	})
}

func TestTheQueueIsChangedByIDAndByFilter(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		l.steps(ids,
			step{args: "queue hold", status: 2, stderr: "nothing is selected"},
			step{args: "queue hold --domain late.example --dry-run", stdout: "2 messages selected\n"},
			step{args: "queue list --state hold --domain late.example", status: 1, stderr: "no message matches"},
			step{args: "queue hold ID2", stdout: "1 message held\n"},
			step{args: "queue hold --older-than 1d", status: 1, stdout: "0 messages held\n"},
			step{args: "queue list --state hold --sender <>", stdout: "ID2  hold          294  DATE  <>  w@late.example (held by the administrator)\n"},
			step{args: "queue release --sender <> --json", stdout: `{"dry_run":false,"messages":1}` + "\n"},
			step{args: "queue retry ID1 --dry-run --json", stdout: `{"dry_run":true,"messages":1}` + "\n"},
			step{args: "queue retry nope", status: 1, stdout: "0 messages due now\n"},
			step{args: "queue delete ID3", stdout: "1 message deleted\n"},
			step{args: "queue show ID3", stdout: `queue ID   ID3
state      not in the queue any more
size       254 octets
sender     me@shop.example
recipient  x@held.example
  state    removed after 1 attempt
history
  DATE  queued     from me@shop.example, 254 octets, 1 recipient
  DATE  held       to x@held.example  attempt 1  (waits for a person)
  DATE  removed    to x@held.example  attempt 1
`},
			step{args: "queue delete", status: 2, stderr: "nothing is selected"},
			step{args: "queue delete --all", status: 2, stderr: "say --yes"},
			step{args: "queue delete --all=true", status: 2, stderr: "say --yes"},
			step{args: "queue delete --all --sender --yes", status: 2, stderr: "say --yes"},
			step{args: "queue delete --all --yes=false", status: 2, stderr: "say --yes"},
			step{args: "queue delete --all --dry-run", stdout: "2 messages selected\n"},
			step{args: "queue delete --recipient v@late.example", stdout: "1 message deleted\n"},
			step{args: "queue list ID1", stdout: "ID1  deferred      233  DATE  me@shop.example  u@late.example (450 4.7.1 come back later)\n"},
			step{args: "queue requeue ID1", stdout: "1 message requeued\n"},
			step{args: "queue list ID1", status: 1, stderr: "no message matches"},
			step{args: "queue delete --all --yes", stdout: "2 messages deleted\n"},
			step{args: "queue list", stdout: "the queue is empty\n"},
			step{args: "queue list --json"},
			step{args: "mailq", stdout: "Mail queue is empty\n"},
			step{args: "queue retry --all", status: 1, stdout: "0 messages due now\n"},
		)
	})
}

func TestAFailedMessageIsReportedToItsSender(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		l.do("", "route", "set", "shop.example", "hold:the report")
		l.steps(ids, step{args: "queue|fail|--recipient|v@late.example|--reason|no more of it", stdout: "1 message bounced\n"})
		found := false
		for line := range strings.Lines(l.do("", "queue", "list", "--json", "--recipient", "me@shop.example")) {
			var m listed
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatal(err)
			}
			report := l.do("", "queue", "cat", m.ID)
			found = m.Sender == "" && strings.Contains(report, "Action: failed\r\nStatus: 4.7.1") && strings.Contains(report, "v@late.example") && !strings.Contains(report, "u@late.example")
			if !found {
				t.Errorf("%+v\n%s", m, report)
			}
		}
		if !found {
			t.Error("no report")
		}
	})
}

// Programs read these names: postqueue's, and after them our own.
func TestTheFieldsOfAListHaveStableNames(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		head := `{"queue_name":"deferred","queue_id":"ID1","arrival_time":DATE,"message_size":233,"forced_expire":false,"sender":"me@shop.example",` +
			`"recipients":[{"address":"u@late.example","delay_reason":"450 4.7.1 come back later","state":"waiting","attempts":1,"due":DATE,"lane":"/retry:"},` +
			`{"address":"v@late.example","delay_reason":"450 4.7.1 come back later","state":"waiting","attempts":1,"due":DATE,"lane":"/retry:"}],` +
			`"state":"waiting","site":"shop","via":"api","expires":DATE`
		queued := `{"seq":N,"time":DATE,"event":"queued","queue_id":"ID1","site":"shop","sender":"me@shop.example","size":233,"recipients":2}`
		deferred := `{"seq":N,"time":DATE,"event":"deferred","queue_id":"ID1","site":"shop","sender":"me@shop.example","recipient":"u@late.example",` +
			`"lane":"/retry:","code":450,"status":"4.7.1","reply":"come back later","attempt":1,"delay":D,"due":DATE,"size":233}`
		history := queued + "\n" + deferred + "\n" + strings.Replace(deferred, "u@late", "v@late", 1) + "\n"
		show := head + `,"history":[` + strings.ReplaceAll(strings.TrimSpace(history), "\n", ",") + "]}\n"
		l.steps(ids,
			step{args: "queue list --json ID1", stdout: head + "}\n"},
			step{args: "--json queue show ID1", stdout: show},
			step{args: "queue --json show ID1", stdout: show},
			step{args: "trail --json --id ID1", stdout: history},
			step{args: "trail --json --id ID1 --recipient v@late.example", stdout: strings.SplitAfterN(history, "\n", 3)[2]},
			step{args: "queue stats --json", stdout: `{"messages":3,"size":781,"waiting":3,"deferred":3,"active":0,"hold":1,"oldest":DATE,` +
				`"lanes":[{"lane":"/retry:","waiting":3,"active":0,"hold":0,"due":DATE},{"lane":"/hold:","waiting":0,"active":0,"hold":1}],` +
				`"sites":[{"site":"shop","waiting":2,"active":0,"hold":1},{"site":"","waiting":1,"active":0,"hold":0}],` +
				`"flow":[{"site":"shop","lane":"/retry:",` + lately(2) + `},{"site":"","lane":"/retry:",` + lately(1) + `}]}` + "\n"},
		)
	})
}

// lately is a flow of the last minute, in which so many were deferred.
func lately(deferred int) string {
	n := fmt.Sprintf(`{"delivered":0,"deferred":%d,"bounced":0}`, deferred)
	return `"minute":` + n + `,"hour":` + n + `,"day":` + n
}

func TestStatisticsWarnAboveADepth(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		for above, status := range map[string]int{"3": 0, "2": 1} {
			got := l.run("", "queue", "stats", "--alert-above", above)
			if got.Status != status || !strings.HasPrefix(got.Stdout, "3 messages, 781 octets; recipients: 3 waiting (3 tried before), 0 active, 1 on hold\noldest: ") {
				t.Errorf("above %s: %+v", above, got)
			}
		}
	})
}

func TestMailqIsInThePostfixFormatForLongQueueIDs(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		l.do("", "queue", "hold", ids[1])
		want := `----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------
ID1       233 DATE me@shop.example
                                                   (450 4.7.1 come back later)
                                               u@late.example
                                               v@late.example

ID2!      294 DATE MAILER-DAEMON
                                                   (held by the administrator)
                                               w@late.example

ID3!      254 DATE me@shop.example
                                                          (waits for a person)
                                               x@held.example

-- 0 Kbytes in 3 Requests.
`
		l.steps(ids, step{args: "mailq", stdout: want}, step{args: "sendmail -bp", stdout: want})
	})
}

// -q is what cron jobs and mail programs run; it says nothing.
func TestTheModesOfSendmailReachTheQueue(t *testing.T) {
	l := newLab(t)
	l.steps(nil, step{args: "sendmail -bp", stdout: "Mail queue is empty\n"})
	if diff := cmp.Diff(0, l.run("", "sendmail", "-q").Status); diff != "" {
		t.Error(diff)
	}
}

func TestAChangeThatIsBrokenOffSaysHowFarItCame(t *testing.T) {
	var stderr strings.Builder
	c := &call{stderr: &stderr}
	err := c.change(t.Context(), filter{}, "held", func(context.Context, queue.Match) (int, error) { return 3, context.Canceled })
	if !errors.Is(err, context.Canceled) || stderr.String() != "not finished: 3 messages held, or being so\n" {
		t.Errorf("error %v, %q", err, stderr.String())
	}
}
