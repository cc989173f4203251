package sendmail

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCommandLinesOfRealCallersAreUnderstood(t *testing.T) {
	message := func(c command) command {
		c.mode = modeMessage
		return c
	}
	for _, row := range []struct {
		caller string
		args   string // words separated by blanks; '' is the empty word
		want   command
	}{
		{"PHP mail()", "-t -i", message(command{fromHeader: true, dots: true})},
		{"PHP mail() with its fifth argument", "-t -i -fuser@dom.example", message(command{fromHeader: true, dots: true, from: "user@dom.example", hasFrom: true})},
		{"WordPress with -r", "-t -i -r user@dom.example", message(command{fromHeader: true, dots: true, from: "user@dom.example", hasFrom: true})},
		{"PHPMailer", "-oi -fuser@dom.example -t", message(command{fromHeader: true, dots: true, from: "user@dom.example", hasFrom: true})},
		{"Symfony -bs", "-bs", command{mode: modeSMTP}},
		{"Symfony -t", "-t -i", message(command{fromHeader: true, dots: true})},
		{"Swift Mailer", "-bs -f a@b.example", command{mode: modeSMTP, from: "a@b.example", hasFrom: true}},
		{"cronie", "-FCronDaemon -i -odi -oem -oi -t -f root", message(command{fullName: "CronDaemon", dots: true, fromHeader: true, from: "root", hasFrom: true})},
		{"Debian cron", "-i -FCronDaemon -B8BITMIME -oem root", message(command{dots: true, fullName: "CronDaemon", operands: []string{"root"}})},
		{"mutt", "-oem -oi -f me@x.example -N success,failure -R hdrs -- a@x.example b@x.example",
			message(command{dots: true, from: "me@x.example", hasFrom: true, notify: "SUCCESS,FAILURE", ret: "HDRS", operands: []string{"a@x.example", "b@x.example"}})},
		{"git send-email", "-f me@x.example -i a@x.example", message(command{dots: true, from: "me@x.example", hasFrom: true, operands: []string{"a@x.example"}})},
		{"mailx", "-i -- root", message(command{dots: true, operands: []string{"root"}})},
		{"mailx -r", "-i -f me@x.example -- a@x.example", message(command{dots: true, from: "me@x.example", hasFrom: true, operands: []string{"a@x.example"}})},
		{"s-nail", "-i -oem -f '' a@x.example", message(command{dots: true, hasFrom: true, operands: []string{"a@x.example"}})},
		{"sqwebmail", "-oi -t -f me@x.example -Nsuccess,delay,failure", message(command{dots: true, fromHeader: true, from: "me@x.example", hasFrom: true, notify: "SUCCESS,DELAY,FAILURE"})},
		{"mdadm", "-t", message(command{fromHeader: true})},
		{"smartd", "-oi root@x.example", message(command{dots: true, operands: []string{"root@x.example"}})},
		{"vacation", "-f <> a@x.example", message(command{from: "<>", hasFrom: true, operands: []string{"a@x.example"}})},
		{"Dovecot Pigeonhole", "-i -f <> -- a@x.example", message(command{dots: true, from: "<>", hasFrom: true, operands: []string{"a@x.example"}})},
		{"Mailman", "-oi -f list-bounces@x.example a@x.example", message(command{dots: true, from: "list-bounces@x.example", hasFrom: true, operands: []string{"a@x.example"}})},
		{"bundled options", "-tif me@x.example", message(command{fromHeader: true, dots: true, from: "me@x.example", hasFrom: true})},
		{"bundled options with a glued value", "-vtifme@x.example", message(command{fromHeader: true, dots: true, from: "me@x.example", hasFrom: true})},
		{"sendmail -O", "-O IgnoreDots=True -ODeliveryMode=b -t", message(command{dots: true, fromHeader: true})},
		{"values of no effect, glued", "-C/etc/x -X/tmp/log -A/x -pesmtp:h -Ltag -h3 -oQ/tmp -d0.1 -t", message(command{fromHeader: true})},
		{"values of no effect, as words", "-C /etc/x -X /tmp/log -A x -p esmtp -L tag -h 3 -o Q/tmp -d 0.1 -t", message(command{fromHeader: true})},
		{"error modes", "-em -ep -e q -t", message(command{fromHeader: true})},
		{"-e before a recipient", "-e root", message(command{operands: []string{"root"}})},
		{"an envelope ID", "-V QQ314159 -R full a@x.example", message(command{envID: "QQ314159", ret: "FULL", operands: []string{"a@x.example"}})},
		{"an unknown option swallows its word only", "-zfoo --read-envelope-from -t", message(command{fromHeader: true})},
		{"a lone hyphen", "- -t", message(command{fromHeader: true})},
		{"an option behind --", "-t -- -oQ/tmp", message(command{fromHeader: true, operands: []string{"-oQ/tmp"}})},
		{"options behind operands", "a@x.example -i", message(command{dots: true, operands: []string{"a@x.example"}})},
		{"mailq", "-bp", command{mode: modeList}},
		{"-b with its value as a word", "-b p", command{mode: modeList}},
		{"newaliases", "-bi", command{mode: modeAliases}},
		{"newaliases of Postfix", "-I", command{mode: modeAliases}},
		{"flush", "-q", command{mode: modeFlush}},
		{"flush a site", "-qRx.example", command{mode: modeFlush}},
		{"verify", "-bv a@x.example", command{mode: modeVerify, operands: []string{"a@x.example"}}},
		{"an init script", "-bd -q15m", command{mode: modeDaemon}},
		{"an init script with a blank", "-bd -q 15m", command{mode: modeDaemon}},
	} {
		t.Run(row.caller, func(t *testing.T) {
			words := strings.Fields(row.args)
			for i, w := range words {
				if w == "''" {
					words[i] = ""
				}
			}
			got, err := parse(words)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, got, cmp.AllowUnexported(command{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", row.args, diff)
			}
		})
	}
}

func TestMistakesOnTheCommandLineAreNamed(t *testing.T) {
	for _, row := range []struct{ args, text string }{
		{"-f", "-f needs a value"},
		{"-t -F", "-F needs a value"},
		{"-N", "-N needs a value"},
		{"-N maybe a@x.example", `"MAYBE"`},
		{"-N never,success a@x.example", "never stands alone"},
		{"-R some a@x.example", "-R"},
		{"-bz", "-b"},
		{"-bsx", "-b"},
	} {
		_, err := parse(strings.Fields(row.args))
		if err == nil || !strings.Contains(err.Error(), row.text) {
			t.Errorf("%s: error %v, want %s", row.args, err, row.text)
		}
	}
	for _, name := range []string{"x\ny", "x\r", "\x00", "x\x7f", "\xff"} {
		if _, err := parse([]string{"-F", name}); err == nil {
			t.Errorf("-F %q was taken", name)
		}
		if _, err := parse([]string{"-V" + name}); err == nil {
			t.Errorf("-V %q was taken", name)
		}
	}
}

func FuzzCommandLineNeverPanics(f *testing.F) {
	for _, seed := range []string{"-t -i", "-tif a@b", "-b", "-q -d -e", "-- -x", "-N success", "-o", "-O x", "-b ", "-N ", "-R ", "-f "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, args string) {
		c, err := parse(strings.Split(args, " "))
		if err == nil && (hasControls(c.fullName) || hasControls(c.envID) || hasControls(c.notify)) {
			t.Errorf("%q lets a control character in: %+v", args, c)
		}
	})
}
