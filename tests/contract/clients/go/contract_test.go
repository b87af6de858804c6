// Package contract is what the embedded engine owes the official Go driver over HTTP, as Grafana's plugin and the
// OpenTelemetry Collector's exporter use it. METERHOUSE_TEST_CLICKHOUSE is host:port; test_go.py runs it.
package contract

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"
)

func options(change ...func(*clickhouse.Options)) *clickhouse.Options {
	made := &clickhouse.Options{
		Protocol:    clickhouse.HTTP,
		Addr:        []string{os.Getenv("METERHOUSE_TEST_CLICKHOUSE")},
		Auth:        clickhouse.Auth{Database: "default", Username: "default"},
		Compression: &clickhouse.Compression{Method: clickhouse.CompressionLZ4},
		DialTimeout: 10 * time.Second,
	}
	for _, one := range change {
		one(made)
	}
	return made
}

func connect(t *testing.T, change ...func(*clickhouse.Options)) driver.Conn {
	t.Helper()
	connection, err := clickhouse.Open(options(change...))
	must(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same[T comparable](t *testing.T, expected, actual T) {
	t.Helper()
	if expected != actual {
		t.Fatalf("expected %v, got %v", expected, actual)
	}
}

func code(err error) int32 {
	var exception *clickhouse.Exception
	if errors.As(err, &exception) {
		return exception.Code
	}
	return -1
}

func TestConnects(t *testing.T) {
	connection := connect(t)
	must(t, connection.Ping(t.Context()))
	version, err := connection.ServerVersion()
	must(t, err)
	same(t, "UTC", version.Timezone.String())
}

func TestTypesRoundTrip(t *testing.T) {
	connection := connect(t)
	must(t, connection.Exec(t.Context(), `create or replace table go_types (
		a UInt64, b Decimal(38, 9), c DateTime64(6, 'UTC'), d UUID, e Nullable(Int32), f LowCardinality(Nullable(String)),
		g Array(Array(Int16)), h Map(String, UInt32), i Tuple(x Int8, y String), j DateTime('Europe/Berlin'), k Bool,
		l Enum8('x' = 1, 'y' = 2), m Array(LowCardinality(String)), n Nested(p UInt8, q String)
	) engine = MergeTree order by a`))
	at := time.Date(2026, 11, 23, 12, 13, 14, 123456000, time.UTC)
	id := uuid.New()
	batch, err := connection.PrepareBatch(t.Context(), "insert into go_types")
	must(t, err)
	low := "low"
	must(t, batch.Append(uint64(1<<63), decimal.RequireFromString("12345678901234567890.123456789"), at, id, nil, &low,
		[][]int16{{1, -2}, {}}, map[string]uint32{"k": 7}, map[string]any{"x": int8(-1), "y": "tuple"}, at, true, "y",
		[]string{"one", "two", "one"}, []uint8{5}, []string{"nested"}))
	must(t, batch.Send())

	rows, err := connection.Query(t.Context(), "select * from go_types")
	must(t, err)
	defer rows.Close()
	var (
		a    uint64
		b    decimal.Decimal
		c, j time.Time
		d    uuid.UUID
		e    *int32
		f    *string
		g    [][]int16
		h    map[string]uint32
		i    map[string]any
		k    bool
		l    string
		m, q []string
		n    []uint8
	)
	same(t, true, rows.Next())
	must(t, rows.Scan(&a, &b, &c, &d, &e, &f, &g, &h, &i, &j, &k, &l, &m, &n, &q))
	same(t, uint64(1<<63), a)
	same(t, "12345678901234567890.123456789", b.String())
	same(t, true, c.Equal(at))
	same(t, id, d)
	same(t, true, e == nil)
	same(t, "low", *f)
	same(t, "[[1 -2] []] map[k:7] tuple", fmt.Sprintf("%v %v %v", g, h, i["y"]))
	same(t, "2026-11-23 13:13:14 +0100", j.Format("2006-01-02 15:04:05 -0700"))
	same(t, true, k)
	same(t, "y [one two one] [5] [nested]", fmt.Sprintf("%v %v %v %v", l, m, n, q))
	same(t, false, rows.Next())
	must(t, rows.Err())
}

func TestJSONDynamicAndVariantRoundTrip(t *testing.T) {
	for _, flattened := range []int{0, 1} {
		connection := connect(t, func(o *clickhouse.Options) {
			o.Settings = clickhouse.Settings{"output_format_native_use_flattened_dynamic_and_json_serialization": flattened}
		})
		rows, err := connection.Query(t.Context(), `select
			'{"a": {"b": 42}, "c": ["x"]}'::JSON(max_dynamic_paths=8) as j, 7::Int64::Variant(String, Int64) as v,
			['text'::Dynamic, 5::Int64::Dynamic] as d, number as last from numbers(3)`)
		must(t, err)
		seen := uint64(0)
		for rows.Next() {
			var (
				j    clickhouse.JSON
				v    clickhouse.Variant
				d    []clickhouse.Dynamic
				last uint64
			)
			must(t, rows.Scan(&j, &v, &d, &last))
			b, ok := clickhouse.ExtractJSONPathAs[int64](&j, "a.b")
			same(t, true, ok)
			same(t, int64(42), b)
			same(t, int64(7), v.Any().(int64))
			same(t, "text", d[0].Any().(string))
			seen += last + 1
		}
		must(t, rows.Err())
		same(t, uint64(6), seen)
	}
}

func TestEveryCompressionReadsAndWrites(t *testing.T) {
	for _, method := range []clickhouse.CompressionMethod{
		clickhouse.CompressionNone, clickhouse.CompressionLZ4, clickhouse.CompressionZSTD, clickhouse.CompressionGZIP,
		clickhouse.CompressionDeflate, clickhouse.CompressionBrotli,
	} {
		t.Run(method.String(), func(t *testing.T) {
			connection := connect(t, func(o *clickhouse.Options) {
				o.Compression = &clickhouse.Compression{Method: method, Level: 3}
			})
			must(t, connection.Exec(t.Context(), "create or replace table go_packed (a UInt32, s String) engine = MergeTree order by a"))
			batch, err := connection.PrepareBatch(t.Context(), "insert into go_packed (a, s) values")
			must(t, err)
			for i := range 50_000 {
				must(t, batch.Append(uint32(i), strings.Repeat("x", i%50)))
			}
			must(t, batch.Send())
			rows, err := connection.Query(t.Context(), "select a, s from go_packed order by a")
			must(t, err)
			sum, length := 0, 0
			for rows.Next() {
				var (
					a uint32
					s string
				)
				must(t, rows.Scan(&a, &s))
				sum, length = sum+int(a), length+len(s)
			}
			must(t, rows.Err())
			same(t, 50_000*49_999/2, sum)
			same(t, 1000*(49*50/2), length)
			same(t, int32(60), code(connection.Exec(t.Context(), "select * from nowhere")))
			_, err = connection.Query(t.Context(), "select * from nowhere")
			same(t, int32(60), code(err))
			same(t, true, strings.Contains(err.Error(), "nowhere"))
		})
	}
}

func TestALongResultStreams(t *testing.T) {
	connection := connect(t)
	rows, err := connection.Query(t.Context(), "select number, toString(number) from numbers(1000000)")
	must(t, err)
	count := 0
	for rows.Next() {
		var (
			number uint64
			text   string
		)
		must(t, rows.Scan(&number, &text))
		same(t, fmt.Sprint(number), text)
		count++
	}
	must(t, rows.Err())
	same(t, 1_000_000, count)
}

func TestAnExceptionInTheMiddleOfAResultIsTheServersOwn(t *testing.T) {
	for _, method := range []clickhouse.CompressionMethod{clickhouse.CompressionNone, clickhouse.CompressionLZ4, clickhouse.CompressionGZIP} {
		connection := connect(t, func(o *clickhouse.Options) { o.Compression = &clickhouse.Compression{Method: method, Level: 1} })
		rows, err := connection.Query(t.Context(), "select number, throwIf(number = 3000000, 'boom') from numbers(4000000)")
		must(t, err)
		for rows.Next() {
		}
		same(t, int32(395), code(rows.Err()))
		same(t, true, strings.Contains(rows.Err().Error(), "boom"))
	}
}

func TestParameters(t *testing.T) {
	connection := connect(t)
	ctx := clickhouse.Context(t.Context(), clickhouse.WithParameters(clickhouse.Parameters{
		"n": "4", "s": "it's \\\\ here", "d": "2026-11-23",
	}))
	var (
		n uint64
		s string
		d time.Time
	)
	must(t, connection.QueryRow(ctx, "select {n:UInt64} + 1, {s:String}, {d:Date}").Scan(&n, &s, &d))
	same(t, uint64(5), n)
	same(t, "it's \\ here", s)
	must(t, connection.QueryRow(t.Context(), "select toUInt64($1 + 1), $2", uint64(4), "it's").Scan(&n, &s))
	same(t, "it's", s)
}

func TestExternalTables(t *testing.T) {
	table, err := ext.NewTable("ids", ext.Column("a", "UInt32"), ext.Column("s", "String"))
	must(t, err)
	for i := range 1000 {
		must(t, table.Append(uint32(i), "x"))
	}
	var sum uint64
	ctx := clickhouse.Context(t.Context(), clickhouse.WithExternalTable(table))
	must(t, connect(t).QueryRow(ctx, "select sum(a) from ids").Scan(&sum))
	same(t, uint64(499_500), sum)
}

func TestASessionKeepsItsTemporaryTables(t *testing.T) {
	connection := connect(t, func(o *clickhouse.Options) {
		o.Settings = clickhouse.Settings{"session_id": uuid.NewString()}
		o.MaxOpenConns, o.MaxIdleConns = 1, 1
	})
	must(t, connection.Exec(t.Context(), "create temporary table tt (a UInt8)"))
	batch, err := connection.PrepareBatch(t.Context(), "insert into tt")
	must(t, err)
	must(t, batch.Append(uint8(7)))
	must(t, batch.Send())
	var a uint8
	must(t, connection.QueryRow(t.Context(), "select a from tt").Scan(&a))
	same(t, uint8(7), a)
	_, err = connect(t).Query(t.Context(), "select a from tt")
	same(t, int32(60), code(err))
}

// The statements of the Collector's clickhouse exporter: create, then one batch by database/sql or the native interface.
func TestTheCollectorsExporter(t *testing.T) {
	dsn := "http://default@" + os.Getenv("METERHOUSE_TEST_CLICKHOUSE") +
		"/default?async_insert=true&wait_for_async_insert=1&compress=lz4&client_info_product=otelcol%2F1"
	db, err := sql.Open("clickhouse", dsn)
	must(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), `create or replace table go_otel_logs (
		Timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)), TraceId String CODEC(ZSTD(1)), SeverityText LowCardinality(String),
		Body String, ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
		INDEX idx_body Body TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 8
	) ENGINE = MergeTree() PARTITION BY toDate(Timestamp) ORDER BY (SeverityText, toUnixTimestamp(Timestamp))
	TTL toDateTime(Timestamp) + toIntervalDay(90) SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1`)
	must(t, err)
	transaction, err := db.BeginTx(t.Context(), nil)
	must(t, err)
	statement, err := transaction.PrepareContext(t.Context(), "INSERT INTO go_otel_logs (Timestamp, TraceId, SeverityText, Body, ResourceAttributes)")
	must(t, err)
	for i := range 1000 {
		_, err = statement.ExecContext(t.Context(), time.Unix(0, 1_795_000_000_000_000_000+int64(i)), "trace", "INFO",
			"a body", map[string]string{"service.name": "s"})
		must(t, err)
	}
	must(t, transaction.Commit())
	var count, nanos uint64
	must(t, db.QueryRowContext(t.Context(), `select count(), sum(toUnixTimestamp64Nano(Timestamp) % 1000) from go_otel_logs
		where ResourceAttributes['service.name'] = 's'`).Scan(&count, &nanos))
	same(t, uint64(1000), count)
	same(t, uint64(499_500), nanos)

	connection := connect(t, func(o *clickhouse.Options) {
		o.Settings = clickhouse.Settings{"async_insert": 1, "wait_for_async_insert": 1}
	})
	batch, err := connection.PrepareBatch(t.Context(), "INSERT INTO go_otel_logs (Timestamp, Body) VALUES")
	must(t, err)
	must(t, batch.Append(time.Now(), "values"))
	must(t, batch.Send())
	must(t, connection.AsyncInsert(t.Context(), "INSERT INTO go_otel_logs (Timestamp, Body) VALUES (now64(9), 'async')", true))
	must(t, db.QueryRowContext(t.Context(), "select count() from go_otel_logs where Body in ('values', 'async')").Scan(&count))
	same(t, uint64(2), count)
}

// What Grafana's plugin asks: health, schema, and queries with its macros filled in, by database/sql.
func TestGrafanasPlugin(t *testing.T) {
	db := clickhouse.OpenDB(options(func(o *clickhouse.Options) {
		o.ClientInfo = clickhouse.ClientInfo{Products: []struct{ Name, Version string }{{Name: "grafana", Version: "12"}}}
		o.HttpHeaders = map[string]string{"X-Grafana": "1"}
		o.Settings = clickhouse.Settings{"max_execution_time": 60}
		o.ReadTimeout = 30 * time.Second
	}))
	defer db.Close()
	must(t, db.PingContext(t.Context()))
	for _, query := range []string{
		"SHOW DATABASES",
		"SELECT name FROM system.tables WHERE database = 'system' LIMIT 5",
		"DESC TABLE system.one",
		"SELECT name, type FROM system.columns WHERE database = 'system' AND table = 'one'",
		"SELECT toStartOfInterval(toDateTime(now()), INTERVAL 60 second) as time, avg(number) FROM numbers(10) " +
			"WHERE now() >= toDateTime(1) GROUP BY time ORDER BY time",
		"EXPLAIN AST SELECT 1",
	} {
		rows, err := db.QueryContext(t.Context(), query)
		must(t, err)
		columns, err := rows.ColumnTypes()
		must(t, err)
		same(t, true, rows.Next())
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		must(t, rows.Scan(values...))
		must(t, rows.Err())
		must(t, rows.Close())
	}
}

func TestACancelledQueryEnds(t *testing.T) {
	connection, watch := connect(t), connect(t)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := connection.Query(ctx, "select count() as go_cancelled from numbers(1000000000000) where sipHash64(number) = 1")
	same(t, true, errors.Is(err, context.DeadlineExceeded))
	deadline := time.Now().Add(20 * time.Second)
	for running := uint64(1); running > 0; {
		must(t, watch.QueryRow(t.Context(), "select count() from system.processes where query like '%go\\_cancelled%' "+
			"and query not like '%system.processes%'").Scan(&running))
		same(t, true, time.Now().Before(deadline))
		time.Sleep(50 * time.Millisecond)
	}
}

func TestAQueryBeyondItsTimeEnds(t *testing.T) {
	ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"max_execution_time": 1}))
	_, err := connect(t).Query(ctx, "select sum(sipHash64(number)) from numbers(1000000000000)")
	same(t, int32(159), code(err))
}

// The driver sends max_execution_time with every query, so its readers need readonly = 2, as on a server.
func TestAUserWhoMayChangeNoSettingIsRefusedInClickHousesWords(t *testing.T) {
	connection := connect(t, func(o *clickhouse.Options) { o.Auth.Username = "reader" })
	err := connection.Ping(t.Context())
	same(t, int32(164), code(err))
	same(t, true, strings.Contains(err.Error(), "max_execution_time"))
}
