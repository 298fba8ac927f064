package protocol

import "testing"

// Each rule is there because without it a reading is lost, counted twice, or nobody goes on. If one of these stops
// failing, its rule is not needed, or the model no longer looks.
func TestEveryRuleIsNeeded(t *testing.T) {
	const many = 200_000
	for _, c := range []struct {
		rule   string
		broken rule
		habits habit
		near   uint64 // a seed that shows it, to save time: any change of the model moves it
	}{
		{"an acknowledgement comes after the sync", 0, ackAfterSync, 1},
		{"a range is sent until it is taken, none skipped", sendsUntilTaken, 0, 1},
		{"nothing is sent past what is unresolved", 0, oneUnresolved, 1},
		{"the epoch rises when the spool was lost", 0, epochRises, 1},
		{"repeats are dropped by the watermark", 0, repeatsDropped, 1},
		{"watermarks are restored", watermarksAreRestored, 0, 1},
		{"recorded watermarks are those of the block's end", 0, marksOfTheBlock, 1},
		{"watermarks outlive the log", watermarksOutliveTheLog, 0, 5748},
		{"the intent is committed before anything is inserted", intentBeforeInsert, 0, 1},
		{"nothing is committed that is not inserted", insertBeforeCommit, 0, 1},
		{"the record is there before the commit", recordBeforeCommit, 0, 1},
		{"only the newest owner commits", 0, commitsFenced, 1},
		{"a commit is durable when it is answered", 0, commitsSynced, 1},
		{"a commit without an answer is settled", commitsAreSettled, 0, 57963},
		{"an insert carries a token", 0, rowsHaveToken, 1},
		{"the token names the log", 0, tokenHasLog, 1},
		{"all parts of a block are replayed", 0, allPartsReplayed, 1},
		{"a replayed block is compared by identity", replayIsDoubtful, 0, 1},
		{"an unanswered insert is compared by identity", unknownIsDoubtful, 0, 1},
		{"whoever slept compares by identity", lateIsDoubtful, 0, 1},
		{"tokens without rows are passed", emptyTokensArePassed, 0, 1},
		{"what a log without a position holds is compared", beginningsAreDoubtful, 0, 2249},
		{"nothing is freed before it is stored", 0, freedWhenStored, 1},
		{"an offset that is not there stops", 0, noSilentReset, 1},
		{"a log that shrank stops", logsNeverShrink, 0, 1382},
		{"a store without the blocks stops", storeHasTheBlocks, 0, 1149},
		{"what the store has lost is stored again", lostBlocksAreStoredAgain, 0, 47549},
		{"commits behind the store stop", commitsHaveTheBlocks, 0, 717},
		{"what does not fit is read twice before it stops", disagreementsAreReread, 0, 1},
	} {
		t.Run(c.rule, func(t *testing.T) {
			_, seed, err := search(100, c.near, c.broken, c.habits, false)
			if err == nil {
				_, seed, err = search(many, 1, c.broken, c.habits, false)
			}
			if err == nil {
				t.Fatalf("nothing went wrong without it in %d schedules", many)
			}
			t.Logf("seed %d: %v", seed, err)
		})
	}
}

// A failure is the same each time its seed is played, tells its steps, and is cut to what is needed.
func TestFailureReplaysAndIsCut(t *testing.T) {
	_, seed, err := search(1000, 1, 0, rowsHaveToken, false)
	if err == nil {
		t.Fatal("nothing to replay")
	}
	var steps, fewer []string
	if again := replay(seed, nil, 0, rowsHaveToken, func(s string) { steps = append(steps, s) }); again == nil || again.Error() != err.Error() {
		t.Errorf("replayed: %v, was %v", again, err)
	}
	tape := shrink(seed, 0, rowsHaveToken)
	cut := replay(seed, tape, 0, rowsHaveToken, func(s string) { fewer = append(fewer, s) })
	if words(cut) != words(err) {
		t.Errorf("cut: %v, was %v", cut, err)
	}
	if len(fewer) == 0 || len(fewer) > len(steps) {
		t.Errorf("%d steps were cut to %d", len(steps), len(fewer))
	}
}
