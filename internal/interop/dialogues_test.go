package interop_test

import (
	"encoding/base64"
	"strings"
)

// dialogues are held with Postfix and with us. A step is sent with CRLF at its
// end, and as many replies are read as it has lines; a step behind DATA is
// content with one reply, and is only sent if DATA was answered with 354. A step
// that begins with BDAT is sent as it is and has one reply. STARTTLS is followed
// by the handshake.
var dialogues = []struct {
	name  string
	steps []string
}{
	{"HELO, then EHLO", []string{"HELO c.test", "EHLO c.test", "QUIT"}},
	{"EHLO without a name", []string{"EHLO", "HELO", "EHLO "}},
	{"EHLO with garbage", []string{"EHLO !$%", "HELO <b@x>", "EHLO c.test more", "EHLO [127.0.0.1]", "EHLO [1.2", "EHLO " + strings.Repeat("x", 300)}},
	{"EHLO outside ASCII", []string{"EHLO b\u00fccher.test", "EHLO \xff\xfe"}},
	{"lower case", []string{"ehlo c.test", "mail from:<a@b.test>", "rcpt to:<u@ours.example>", "data", "x\r\n.", "quit"}},
	{"no HELO", []string{"MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "DATA", "."}},
	{"no HELO, little commands", []string{"NOOP", "RSET", "VRFY u", "HELP", "QUIT"}},

	{"RCPT before MAIL", []string{"EHLO c.test", "RCPT TO:<u@ours.example>"}},
	{"nested MAIL", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "MAIL FROM:<c@b.test>"}},
	{"DATA before MAIL", []string{"EHLO c.test", "DATA", "."}},
	{"DATA before RCPT", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "DATA", "."}},
	{"DATA after all were refused", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@other.test>", "DATA", "."}},
	{"DATA after some were refused", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@other.test>", "RCPT TO:<u@ours.example>", "DATA", "x\r\n."}},
	{"DATA with an argument", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "DATA x"}},
	{"second EHLO", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "EHLO c.test", "RCPT TO:<u@ours.example>", "MAIL FROM:<a@b.test>"}},
	{"second HELO", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "HELO c.test", "RCPT TO:<u@ours.example>"}},
	{"RSET", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RSET", "RCPT TO:<u@ours.example>", "RSET x"}},
	{"a message after a message", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "DATA", "x\r\n.", "RCPT TO:<u@ours.example>", "MAIL FROM:<>"}},
	{"two recipients alike", []string{"EHLO c.test", "MAIL FROM:<>", "RCPT TO:<u@ours.example>", "RCPT TO:<u@ours.example>", "DATA", "."}},

	{"unknown commands", []string{"EHLO c.test", "XYZZY", "", " ", "SEND FROM:<a@b.test>", "TURN", "X\x01", "X\xff"}},
	{"TLS in clear", []string{"\x16\x03\x01", "NOOP"}},
	{"octets", []string{"\xff\xff", "NOOP"}},
	{"a reply as command", []string{"220 mx.test ESMTP", "NOOP"}},
	{"two words in one", []string{"EHLO c.test", "MAILFROM:<a@b.test>", "NOOP"}},
	{"web browser", []string{"EHLO c.test", "GET / HTTP/1.1", "NOOP"}},
	{"header as command", []string{"EHLO c.test", "Subject: hello", "NOOP"}},
	{"NOOP", []string{"EHLO c.test", "NOOP", "NOOP x", "  NOOP", "NOOP\t"}},
	{"QUIT", []string{"QUIT", "NOOP"}},
	{"QUIT with an argument", []string{"EHLO c.test", "QUIT x", "NOOP"}},
	{"HELP", []string{"EHLO c.test", "HELP", "HELP MAIL"}},
	{"VRFY", []string{"EHLO c.test", "VRFY me@shop.example", "VRFY", "VRFY <nobody@other.test>"}},
	{"EXPN", []string{"EHLO c.test", "EXPN list"}},
	{"ETRN", []string{"EHLO c.test", "ETRN ours.example", "ETRN other.test", "ETRN"}},

	{"MAIL without brackets", []string{"EHLO c.test", "MAIL FROM:a@b.test", "RCPT TO:u@ours.example"}},
	{"MAIL with a blank", []string{"EHLO c.test", "MAIL FROM: <a@b.test>", "RCPT TO: <u@ours.example>"}},
	{"MAIL with blanks", []string{"EHLO c.test", "MAIL  FROM:<a@b.test>", "RCPT TO :<u@ours.example>", "RCPT TO:<u@ours.example> "}},
	{"MAIL without colon", []string{"EHLO c.test", "MAIL FROM <a@b.test>", "MAIL FROM<a@b.test>", "MAIL <a@b.test>", "MAIL TO:<a@b.test>"}},
	{"MAIL without anything", []string{"EHLO c.test", "MAIL", "MAIL FROM", "MAIL FROM:", "MAIL FROM: "}},
	{"MAIL with half a bracket", []string{"EHLO c.test", "MAIL FROM:<a@b.test"}},
	{"MAIL with the other half", []string{"EHLO c.test", "MAIL FROM:a@b.test>"}},
	{"MAIL with junk behind", []string{"EHLO c.test", "MAIL FROM:<a@b.test>junk"}},
	{"MAIL with junk before", []string{"EHLO c.test", "MAIL FROM:junk<a@b.test>"}},
	{"MAIL with a name", []string{"EHLO c.test", `MAIL FROM:"A B" <a@b.test>`}},
	{"MAIL with two addresses", []string{"EHLO c.test", "MAIL FROM:<a@b.test> <c@d.test>"}},
	{"MAIL with two at signs", []string{"EHLO c.test", "MAIL FROM:<a@b@c.test>"}},
	{"MAIL with a source route", []string{"EHLO c.test", "MAIL FROM:<@x.test,@y.test:a@b.test>"}},
	{"MAIL with empty labels", []string{"EHLO c.test", "MAIL FROM:<a@b..test>"}},
	{"MAIL with an empty domain", []string{"EHLO c.test", "MAIL FROM:<a@>"}},
	{"MAIL with an empty local-part", []string{"EHLO c.test", "MAIL FROM:<@b.test>"}},
	{"MAIL with a final dot", []string{"EHLO c.test", "MAIL FROM:<a@b.test.>"}},
	{"MAIL with hyphens", []string{"EHLO c.test", "MAIL FROM:<a@-b.test>"}},
	{"MAIL with a local name", []string{"EHLO c.test", "MAIL FROM:<a>"}},
	{"MAIL with a blank inside", []string{"EHLO c.test", "MAIL FROM:<a b@c.test>"}},
	{"MAIL with quotes", []string{"EHLO c.test", `MAIL FROM:<"a b"@c.test>`}},
	{"MAIL with an open quote", []string{"EHLO c.test", `MAIL FROM:<"a@c.test>`}},
	{"MAIL with dots", []string{"EHLO c.test", "MAIL FROM:<a..b@c.test>"}},
	{"MAIL from a number", []string{"EHLO c.test", "MAIL FROM:<a@1.2.3.4>"}},
	{"MAIL from a literal", []string{"EHLO c.test", "MAIL FROM:<a@[1.2.3.4]>"}},
	{"MAIL from a bad literal", []string{"EHLO c.test", "MAIL FROM:<a@[1.2.3.400]>"}},
	{"MAIL with a long local-part", []string{"EHLO c.test", "MAIL FROM:<" + strings.Repeat("l", 65) + "@b.test>"}},
	{"MAIL with a longer local-part", []string{"EHLO c.test", "MAIL FROM:<" + strings.Repeat("l", 300) + "@b.test>"}},
	{"MAIL with a long domain", []string{"EHLO c.test", "MAIL FROM:<a@" + strings.Repeat("x.", 150) + "test>"}},
	{"MAIL with a long label", []string{"EHLO c.test", "MAIL FROM:<a@" + strings.Repeat("x", 64) + ".test>"}},
	{"MAIL in 8 bits", []string{"EHLO c.test", "MAIL FROM:<\u00fc@b.test>"}},
	{"MAIL in 8 bits that are no UTF-8", []string{"EHLO c.test", "MAIL FROM:<\xfc@b.test>"}},
	{"MAIL in 8 bits with SMTPUTF8", []string{"EHLO c.test", "MAIL FROM:<\u00fc@b.test> SMTPUTF8", "RCPT TO:<\u00fc@ours.example>"}},
	{"MAIL with a control character", []string{"EHLO c.test", "MAIL FROM:<a\x01@b.test>"}},
	{"null sender", []string{"EHLO c.test", "MAIL FROM:<>", "RCPT TO:<u@ours.example>", "DATA", "x\r\n."}},
	{"null sender of blanks", []string{"EHLO c.test", "MAIL FROM:< >"}},

	{"RCPT without brackets", []string{"EHLO c.test", "MAIL FROM:<>", "RCPT TO:u@ours.example"}},
	{"RCPT without anything", []string{"EHLO c.test", "MAIL FROM:<>", "RCPT", "RCPT TO:", "RCPT TO:<>", "RCPT FROM:<u@ours.example>", "RCPT TO:< >"}},
	{"RCPT with half a bracket", []string{"EHLO c.test", "MAIL FROM:<>", "RCPT TO:<u@ours.example", "RCPT TO:u@ours.example>"}},
	{"RCPT with junk", []string{"EHLO c.test", "MAIL FROM:<>", "RCPT TO:<u@ours.example>junk", "RCPT TO:junk<u@ours.example>"}},
	{"RCPT with a source route", []string{"EHLO c.test", "MAIL FROM:<>", "RCPT TO:<@ours.example:u@other.test>", "RCPT TO:<@other.test:u@ours.example>"}},
	{"RCPT with two at signs", []string{"EHLO c.test", "MAIL FROM:<>", "RCPT TO:<u@other.test@ours.example>"}},
	{"RCPT with other routes", []string{"EHLO c.test", "MAIL FROM:<>", "RCPT TO:<u%other.test@ours.example>", "RCPT TO:<other.test!u@ours.example>", `RCPT TO:<"u@other.test"@ours.example>`}},
	{"RCPT with a local name", []string{"EHLO c.test", "MAIL FROM:<>", "RCPT TO:<u>", "RCPT TO:<u@>"}},
	{"RCPT in 8 bits", []string{"EHLO c.test", "MAIL FROM:<>", "RCPT TO:<\u00fc@ours.example>"}},
	{"RCPT with a longer local-part", []string{"EHLO c.test", "MAIL FROM:<>", "RCPT TO:<" + strings.Repeat("l", 65) + "@ours.example>", "RCPT TO:<" + strings.Repeat("l", 300) + "@ours.example>"}},
	{"postmaster", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<postmaster>", "RCPT TO:<PostMaster>", "RCPT TO:postmaster"}},
	{"relay refusal", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@other.test>", "RCPT TO:<u@sub.shop.example>"}},
	{"unknown user", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<nobody@shop.example>", "RCPT TO:<me@shop.example>"}},

	{"SIZE", []string{"EHLO c.test", "MAIL FROM:<a@b.test> SIZE=1000"}},
	{"SIZE=junk", []string{"EHLO c.test", "MAIL FROM:<a@b.test> SIZE=junk", "MAIL FROM:<a@b.test> SIZE=", "MAIL FROM:<a@b.test> SIZE", "MAIL FROM:<a@b.test> SIZE=-1"}},
	{"SIZE that is too big", []string{"EHLO c.test", "MAIL FROM:<a@b.test> SIZE=65537", "MAIL FROM:<a@b.test> SIZE=99999999999999999999999", "MAIL FROM:<a@b.test> SIZE=65536"}},
	{"BODY", []string{"EHLO c.test", "MAIL FROM:<a@b.test> BODY=x", "MAIL FROM:<a@b.test> BODY=BINARYMIME", "MAIL FROM:<a@b.test> BODY", "MAIL FROM:<a@b.test> body=8bitmime"}},
	{"RET and ENVID", []string{"EHLO c.test", "MAIL FROM:<a@b.test> RET=x", "MAIL FROM:<a@b.test> ENVID=a+2", "MAIL FROM:<a@b.test> ENVID=", "MAIL FROM:<a@b.test> RET=HDRS ENVID=q"}},
	{"RET twice", []string{"EHLO c.test", "MAIL FROM:<a@b.test> RET=FULL RET=HDRS"}},
	{"ENVID twice", []string{"EHLO c.test", "MAIL FROM:<a@b.test> ENVID=a ENVID=b"}},
	{"SIZE twice", []string{"EHLO c.test", "MAIL FROM:<a@b.test> SIZE=1 SIZE=2"}},
	{"NOTIFY", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example> NOTIFY=NEVER,SUCCESS", "RCPT TO:<u@ours.example> NOTIFY=x", "RCPT TO:<u@ours.example> NOTIFY=", "RCPT TO:<u@ours.example> NOTIFY=success,delay,failure"}},
	{"ORCPT", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example> ORCPT=x", "RCPT TO:<u@ours.example> ORCPT=rfc822;a+zz", "RCPT TO:<u@ours.example> ORCPT=rfc822;", "RCPT TO:<u@ours.example> ORCPT=rfc822;u@old.test"}},
	{"unknown parameters", []string{"EHLO c.test", "MAIL FROM:<a@b.test> FOO=BAR", "MAIL FROM:<a@b.test> FOO", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example> FOO=BAR", "RCPT TO:<u@ours.example> SIZE=1"}},
	{"REQUIRETLS", []string{"EHLO c.test", "MAIL FROM:<a@b.test> REQUIRETLS"}},
	{"parameters after HELO", []string{"HELO c.test", "MAIL FROM:<a@b.test> SIZE=10", "RCPT TO:<u@ours.example> NOTIFY=NEVER"}},
	{"AUTH= in clear", []string{"EHLO c.test", "MAIL FROM:<a@b.test> AUTH=<>"}},
	{"AUTH= over TLS", []string{"STARTTLS", "EHLO c.test", "MAIL FROM:<a@b.test> AUTH=<>", "RSET", "MAIL FROM:<a@b.test> AUTH=c@d.test", "RSET", "MAIL FROM:<a@b.test> AUTH=+zz"}},
	{"AUTH= of a login", []string{"STARTTLS", "EHLO c.test", "AUTH PLAIN " + plain, "MAIL FROM:<a@shop.example> AUTH=<>", "RSET", "MAIL FROM:<a@shop.example> AUTH=e+3Df@d.test"}},

	{"too many recipients", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", strings.TrimSuffix(strings.Repeat("RCPT TO:<u@ours.example>\r\n", 1003), "\r\n"), "DATA", "x\r\n."}},
	{"too many errors", append([]string{"EHLO c.test"}, times(21, "XYZZY")...)},
	{"too much junk", []string{"EHLO c.test", strings.TrimSuffix(strings.Repeat("NOOP\r\n", 100), "\r\n"), strings.TrimSuffix(strings.Repeat("RSET\r\n", 19), "\r\n"), "NOOP", "NOOP"}},
	{"a message that is too big", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "DATA", strings.Repeat(strings.Repeat("x", 998)+"\r\n", 70) + ".", "NOOP"}},
	{"a message with long lines", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "DATA", "Subject: x\r\n\r\n" + strings.Repeat("x", 50_000) + "\r\n.", "NOOP"}},
	{"48 hops", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "DATA", hops(48)}},
	{"49 hops", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "DATA", hops(49), "NOOP"}},
	{"a long line", []string{"EHLO c.test", "NOOP " + strings.Repeat("x", 2500), "NOOP", "MAIL FROM:<a@b.test> ENVID=" + strings.Repeat("x", 2500), "NOOP"}},
	{"pipelining", []string{"EHLO c.test", "MAIL FROM:<a@b.test>\r\nRCPT TO:<u@ours.example>\r\nRCPT TO:<u@other.test>\r\nDATA", "x\r\n.", "RSET\r\nMAIL FROM:<>\r\nRCPT TO:<u@other.test>\r\nDATA", "x\r\n.", "NOOP\r\nQUIT"}},
	{"bare line feeds between commands", []string{"EHLO c.test\nNOOP\nMAIL FROM:<a@b.test>", "NOOP\nQUIT"}},
	{"a bare line feed in content", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "DATA", "Subject: x\r\n\r\nx\ny\r\n."}},
	{"dots in content", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "DATA", "..\r\n...\r\n.", "NOOP"}},

	{"STARTTLS", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "STARTTLS", "MAIL FROM:<a@b.test>", "EHLO c.test", "RCPT TO:<u@ours.example>"}},
	{"STARTTLS twice", []string{"STARTTLS", "EHLO c.test", "STARTTLS", "NOOP"}},
	{"STARTTLS with an argument", []string{"EHLO c.test", "STARTTLS x", "NOOP"}},
	{"STARTTLS after HELO", []string{"HELO c.test", "STARTTLS", "EHLO c.test"}},

	{"AUTH in clear", []string{"EHLO c.test", "AUTH PLAIN " + plain, "AUTH", "AUTH FOO", "NOOP"}},
	{"AUTH before EHLO", []string{"STARTTLS", "AUTH PLAIN " + plain, "EHLO c.test", "NOOP"}},
	{"AUTH after HELO", []string{"STARTTLS", "HELO c.test", "AUTH PLAIN " + plain}},
	{"AUTH without mechanism", []string{"STARTTLS", "EHLO c.test", "AUTH", "AUTH FOO", "AUTH FOO BAR", "AUTH PLAIN a b", "AUTH EXTERNAL ="}},
	{"AUTH with bad base64", []string{"STARTTLS", "EHLO c.test", "AUTH PLAIN %%%", "AUTH PLAIN", "%%%", "AUTH PLAIN AGEAYg", "AUTH LOGIN", "%%%"}},
	{"AUTH with an empty response", []string{"STARTTLS", "EHLO c.test", "AUTH PLAIN ="}},
	{"AUTH with an empty line", []string{"STARTTLS", "EHLO c.test", "AUTH PLAIN", ""}},
	{"AUTH PLAIN with half of it", []string{"STARTTLS", "EHLO c.test", "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("panel"))}},
	{"AUTH cancelled", []string{"STARTTLS", "EHLO c.test", "AUTH PLAIN", "*", "AUTH LOGIN", "*", "AUTH LOGIN", "cGFuZWw=", "*", "NOOP"}},
	{"AUTH with a wrong password", []string{"STARTTLS", "EHLO c.test", "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00panel\x00wrong")), "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00nobody\x00right")), "MAIL FROM:<a@b.test>"}},
	{"AUTH twice", []string{"STARTTLS", "EHLO c.test", "AUTH PLAIN " + plain, "AUTH PLAIN " + plain, "EHLO c.test", "AUTH LOGIN"}},
	{"AUTH LOGIN", []string{"STARTTLS", "EHLO c.test", "AUTH login", "cGFuZWw=", "cmlnaHQ="}},
	{"AUTH LOGIN with the name", []string{"STARTTLS", "EHLO c.test", "AUTH LOGIN cGFuZWw=", "cmlnaHQ="}},
	{"AUTH in a transaction", []string{"STARTTLS", "EHLO c.test", "MAIL FROM:<a@b.test>", "AUTH PLAIN " + plain, "RSET", "AUTH PLAIN " + plain}},
	{"a login relays", []string{"STARTTLS", "EHLO c.test", "AUTH PLAIN " + plain, "MAIL FROM:<a@shop.example>", "RCPT TO:<u@ours.example>", "RCPT TO:<u@other.test>", "DATA", "x\r\n."}},
	{"a login and odd recipients", []string{"STARTTLS", "EHLO c.test", "AUTH PLAIN " + plain, "MAIL FROM:<a@shop.example>", "RCPT TO:<u@other..test>", "RCPT TO:<u%x.test@other.test>", "RCPT TO:<u@[127.0.0.1]>"}},

	{"BDAT", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "BDAT 3\r\nx\r\n", "BDAT 3 LAST\r\ny\r\n", "NOOP"}},
	{"BDAT 0 LAST", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "BDAT 3\r\nx\r\n", "BDAT 0 LAST\r\n", "NOOP"}},
	{"BDAT in lower case", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "BDAT 3 last\r\nx\r\n"}},
	{"BDAT before MAIL", []string{"EHLO c.test", "BDAT 3 LAST\r\nx\r\n", "NOOP"}},
	{"BDAT before RCPT", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "BDAT 3 LAST\r\nx\r\n", "NOOP"}},
	{"BDAT after all were refused", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@other.test>", "BDAT 3\r\nx\r\n", "BDAT 3 LAST\r\nx\r\n", "NOOP"}},
	{"BDAT with bad arguments", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "BDAT x\r\n", "NOOP"}},
	{"BDAT with no arguments", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "BDAT \r\n", "NOOP"}},
	{"BDAT of less than nothing", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "BDAT -1 LAST\r\n", "NOOP"}},
	{"BDAT with another word", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "BDAT 0 FIRST\r\n", "NOOP"}},
	{"BDAT that is too big", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "BDAT 70000 LAST\r\n" + strings.Repeat("x", 70_000), "NOOP"}},
	{"BDAT, then RSET", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "BDAT 3\r\nx\r\n", "RSET", "MAIL FROM:<>"}},
	{"BDAT, then other commands", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "BDAT 3\r\nx\r\n", "NOOP", "MAIL FROM:<>", "RCPT TO:<u@ours.example>", "VRFY u", "XYZZY", "BDAT 0 LAST\r\n"}},
	{"BDAT, then DATA", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "BDAT 3\r\nx\r\n", "DATA", "."}},
	{"BDAT, then EHLO", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "BDAT 3\r\nx\r\n", "EHLO c.test", "MAIL FROM:<>"}},
	{"BDAT with a bare line feed", []string{"EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@ours.example>", "BDAT 4 LAST\r\nx\ny\n", "NOOP"}},
}

// plain is the response of the login "panel" in AUTH PLAIN.
var plain = base64.StdEncoding.EncodeToString([]byte("\x00panel\x00right"))

// times repeats a step.
func times(n int, step string) []string {
	steps := make([]string, n)
	for i := range steps {
		steps[i] = step
	}
	return steps
}

// hops is a message that has been at n hosts.
func hops(n int) string {
	return strings.Repeat("Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\r\n", n) + "\r\nx\r\n."
}
