package registry

import (
	"database/sql"
	"fmt"
	"net/url"
	"testing"

	"github.com/situ-city/situ/internal/peers"
)

// suite is what holds whatever database the ledger is kept in.
var suite = []struct {
	name string
	test func(t *testing.T, db fresh)
}{
	{"PutAndLookUp", testPutAndLookUp}, {"PutIsIdempotentAndOptimistic", testPutIsIdempotentAndOptimistic},
	{"PutIsAllOrNothing", testPutIsAllOrNothing}, {"Refusals", testRefusals},
	{"SerialMovesToTheSuccessor", testSerialMovesToTheSuccessor}, {"Place", testPlace}, {"DeclaredUnits", testDeclaredUnits},
	{"Declare", testDeclare}, {"TemplatePassesOn", testTemplatePassesOn}, {"DeclareLearnsAPosition", testDeclareLearnsAPosition},
	{"BoundOnDatastreams", testBoundOnDatastreams}, {"ChangesFeed", testChangesFeed}, {"SupersededWakes", testSupersededWakes},
	{"RegisterFiles", testRegisterFiles}, {"RegisterMeaning", testRegisterMeaning}, {"RegisterMerges", testRegisterMerges},
	{"RegisterMergesDatastreams", testRegisterMergesDatastreams}, {"RegisterAdoptsAuto", testRegisterAdoptsAuto},
	{"RegisterInPieces", testRegisterInPieces}, {"RegisterDiskFails", testRegisterDiskFails},
	{"Credentials", testCredentials}, {"CredentialRefusals", testCredentialRefusals},
	{"TwoOpensOfOne", testTwoOpensOfOne}, {"ReplacedUnderneath", testReplacedUnderneath},
	{"FeedIsNeverAheadOfItself", testFeedIsNeverAheadOfItself}, {"WritersTakeTurns", testWritersTakeTurns},
	{"OpenedByManyAtOnce", testOpenedByManyAtOnce}, {"ChangedTwiceInOneTransaction", testChangedTwiceInOneTransaction},
	{"ReadersBesideWriters", testReadersBesideWriters}, {"CancelledWrites", testCancelledWrites}, {"Kill9", testKill9},
	{"Model", testModel}, {"Follower", testFollower}, {"FollowerMeetsAnotherRegistry", testFollowerMeetsAnotherRegistry},
	{"SnapshotFile", testSnapshotFile},
}

func TestSQLite(t *testing.T) {
	for _, c := range suite {
		t.Run(c.name, func(t *testing.T) { c.test(t, newFile) })
	}
}

func TestPostgres(t *testing.T) {
	db := newSchemas(peers.Postgres(t).Local)
	for _, c := range suite {
		t.Run(c.name, func(t *testing.T) { c.test(t, db) })
	}
}

// newSchemas is fresh on a PostgreSQL server: a schema of its own for each ledger.
func newSchemas(server string) fresh {
	n := 0
	return func(t testing.TB) string {
		t.Helper()
		n++
		name := fmt.Sprintf("ledger_%d", n)
		onServer(t, server, "CREATE SCHEMA "+name)
		u, err := url.Parse(server)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Set("search_path", name)
		u.RawQuery = q.Encode()
		return u.String()
	}
}

func onServer(t testing.TB, server string, statements ...string) {
	t.Helper()
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}
