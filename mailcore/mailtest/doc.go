// Package mailtest is httptest for mail: the internet of one test.
//
// [Test] runs a test in a bubble of virtual time (testing/synctest) with a [Lab]:
// a network in memory, DNS as literals, mail exchangers that answer as scripted
// and remember what they got, and servers of ours with real SQLite files. A
// five-day outage passes in milliseconds, and nothing leaves the process.
//
//	func TestOrderConfirmationSurvivesGreylisting(t *testing.T) {
//		mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
//			mx := lab.Domain("shop.example")
//			mx.Answer(mailtest.Rcpt, transport.Replyf(451, "4.7.1", "come back later"))
//			srv := lab.Server(mailcore.Config{})
//			srv.Submit(t.Context(), mailcore.Message{ … })
//			lab.Drain(time.Hour)
//			if len(mx.Messages()) != 1 { … }
//		})
//	}
//
// The exchangers are go-smtp servers, so that the other end of a dialogue is not
// our own code.
package mailtest
