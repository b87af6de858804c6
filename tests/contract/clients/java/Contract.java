import java.math.BigDecimal;
import java.math.BigInteger;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;

/**
 * What the embedded engine owes the official JDBC driver in its default settings, which compress answers.
 *
 * <p>Argument: host:port. Prints a line for each check: "ok NAME" or "failed NAME: why"; test_java.py reads them.
 */
public final class Contract {
    private interface Check {
        void run(Connection connection) throws Exception;
    }

    private static String url;

    public static void main(String[] arguments) throws Exception {
        url = "jdbc:clickhouse://" + arguments[0] + "/default";
        Map<String, Check> checks = new LinkedHashMap<>();
        checks.put("connects", Contract::connects);
        checks.put("types", Contract::types);
        checks.put("json", Contract::json);
        checks.put("batch_insert", Contract::batchInsert);
        checks.put("request_compression", Contract::requestCompression);
        checks.put("http_compression", Contract::httpCompression);
        checks.put("long_result", Contract::longResult);
        checks.put("parameters", Contract::parameters);
        checks.put("errors", Contract::errors);
        checks.put("error_mid_stream", Contract::errorMidStream);
        checks.put("session", Contract::session);
        checks.put("metadata", Contract::metadata);
        checks.put("result_metadata", Contract::resultMetadata);
        checks.put("metabase_sync", Contract::metabaseSync);
        checks.put("timeout", Contract::timeout);
        checks.put("cancel", Contract::cancel);
        checks.put("reader", Contract::reader);
        for (Map.Entry<String, Check> check : checks.entrySet()) {
            try (Connection connection = connect()) {
                check.getValue().run(connection);
                System.out.println("ok " + check.getKey());
            } catch (Throwable error) {
                StackTraceElement[] trace = error.getStackTrace();
                String where = Arrays.stream(trace).filter(one -> one.getClassName().startsWith("Contract"))
                        .map(one -> " at line " + one.getLineNumber()).findFirst().orElse("");
                System.out.println("failed " + check.getKey() + ": "
                        + String.valueOf(error).replaceAll("\\s+", " ") + where);
            }
        }
        System.exit(0);
    }

    private static Connection connect(String... options) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", "default");
        properties.setProperty("password", "");
        for (int i = 0; i < options.length; i += 2) {
            properties.setProperty(options[i], options[i + 1]);
        }
        return DriverManager.getConnection(url, properties);
    }

    private static void connects(Connection connection) throws SQLException {
        same(true, connection.isValid(5));
        same("ClickHouse", connection.getMetaData().getDatabaseProductName());
        same(1, one(connection, "select 1"));
    }

    private static void types(Connection connection) throws SQLException {
        String columns = "a UInt64, b Decimal(38, 9), c DateTime64(6, 'UTC'), d UUID, e Nullable(Int32), "
                + "f LowCardinality(Nullable(String)), g Array(Array(Int16)), h Map(String, UInt32), "
                + "i Tuple(Int8, String), j Date, k Bool, l Enum8('x' = 1, 'y' = 2), m Int256, n IPv4, o FixedString(3), "
                + "p Float64, q DateTime('Europe/Berlin')";
        run(connection, "create or replace table jdbc_types (" + columns + ") engine = MergeTree order by a");
        run(connection, "insert into jdbc_types values (18446744073709551615, 12345678901234567890.123456789, "
                + "'2026-11-23 12:13:14.123456', '123e4567-e89b-12d3-a456-426614174000', null, 'low', [[1, -2], []], "
                + "{'k': 7}, (-1, 'tuple'), '2026-02-28', true, 'y', -7, '10.0.0.1', 'abc', 0.1, '2026-07-01 12:00:00')");
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("select * from jdbc_types")) {
            same(true, row.next());
            same(new BigInteger("18446744073709551615"), row.getObject("a"));
            same(new BigDecimal("12345678901234567890.123456789"), row.getBigDecimal("b"));
            same(LocalDateTime.parse("2026-11-23T12:13:14.123456"), row.getObject("c", LocalDateTime.class));
            same(UUID.fromString("123e4567-e89b-12d3-a456-426614174000"), row.getObject("d"));
            same(0, row.getInt("e"));
            same(true, row.wasNull());
            same("low", row.getString("f"));
            same("[[1, -2], []]", row.getString("g"));
            same("{k=7}", String.valueOf(row.getObject("h")));
            same("tuple", ((Object[]) row.getObject("i"))[1]);
            same(LocalDate.parse("2026-02-28"), row.getObject("j", LocalDate.class));
            same(true, row.getBoolean("k"));
            same("y", row.getString("l"));
            same(BigInteger.valueOf(-7), row.getObject("m"));
            same("10.0.0.1", row.getString("n"));
            same("abc", row.getString("o"));
            same(0.1, row.getDouble("p"));
            same("2026-07-01 12:00:00", row.getString("q"));
            same(false, row.next());
        }
    }

    private static void json(Connection connection) throws SQLException {
        run(connection, "create or replace table jdbc_json (j JSON) engine = MergeTree order by tuple()");
        try (PreparedStatement insert = connection.prepareStatement("insert into jdbc_json values (?)")) {
            insert.setString(1, "{\"a\": {\"b\": 42}, \"c\": [1, 2]}");
            insert.executeUpdate();
        }
        same("42", String.valueOf(one(connection, "select toString(j.a.b) from jdbc_json")));
    }

    private static void batchInsert(Connection connection) throws SQLException {
        fill(connection, "jdbc_batch", 5_000);
    }

    private static void requestCompression(Connection connection) throws SQLException {
        try (Connection other = connect("decompress", "true", "compress", "true")) {
            fill(other, "jdbc_packed", 5_000);
        }
    }

    private static void httpCompression(Connection connection) throws SQLException {
        try (Connection other = connect(
                "decompress", "true", "compress", "true", "client.use_http_compression", "true")) {
            fill(other, "jdbc_http", 5_000);
        }
    }

    private static void fill(Connection connection, String table, int rows) throws SQLException {
        run(connection, "create or replace table " + table
                + " (a UInt32, s String, d Nullable(Decimal(18, 4)), t DateTime64(3)) engine = MergeTree order by a");
        String insert = "insert into " + table + " (a, s, d, t) values (?, ?, ?, ?)";
        try (PreparedStatement statement = connection.prepareStatement(insert)) {
            for (int i = 0; i < rows; i++) {
                statement.setInt(1, i);
                statement.setString(2, "it's \\ " + i);
                statement.setBigDecimal(3, i % 2 == 0 ? null : new BigDecimal("1.25"));
                statement.setTimestamp(4, new Timestamp(1_700_000_000_000L + i));
                statement.addBatch();
            }
            same(rows, statement.executeBatch().length);
        }
        String sums = "select concat(toString(count()), ' ', toString(sum(a)), ' ', toString(sum(d)), ' ', "
                + "any(s), ' ', toString(toUnixTimestamp64Milli(min(t)))) from (select * from " + table + " order by a)";
        same(rows + " " + (long) rows * (rows - 1) / 2 + " " + rows / 2 * 5 / 4 + " it's \\ 0 1700000000000",
                one(connection, sums));
    }

    private static void longResult(Connection connection) throws SQLException {
        long sum = 0;
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("select number, toString(number) from numbers(500000)")) {
            while (rows.next()) {
                sum += rows.getLong(1) - Long.parseLong(rows.getString(2)) + 1;
            }
        }
        same(500_000L, sum);
    }

    private static void parameters(Connection connection) throws SQLException {
        String sql = "select ? + 1, ?, ?, arrayJoin(?), ? is null";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setInt(1, 4);
            statement.setString(2, "it's a \\ \"quote\" ? é");
            statement.setObject(3, LocalDate.parse("2026-11-23"));
            statement.setArray(4, connection.createArrayOf("Int32", new Object[] {7}));
            statement.setNull(5, java.sql.Types.VARCHAR);
            try (ResultSet row = statement.executeQuery()) {
                row.next();
                same(5L, row.getLong(1));
                same("it's a \\ \"quote\" ? é", row.getString(2));
                same("2026-11-23", row.getString(3));
                same(7, row.getInt(4));
                same(true, row.getBoolean(5));
            }
        }
    }

    private static void errors(Connection connection) throws SQLException {
        same(60, code(connection, "select * from nowhere"));
        same(62, code(connection, "selec 1"));
        same(395, code(connection, "select throwIf(1, 'boom')"));
        same(115, code(connection, "select 1 settings no_such_setting = 1"));
        same(1, one(connection, "select 1"));
    }

    private static void errorMidStream(Connection connection) throws SQLException {
        String sql = "select throwIf(number = 3000000, 'boom') from numbers(4000000)";
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            while (rows.next()) {
                rows.getInt(1);
            }
        } catch (Exception expected) {
            same(1, one(connection, "select 1"));
            return;
        }
        throw new AssertionError("a result cut short by an exception passed for a whole one");
    }

    private static void session(Connection connection) throws SQLException {
        String id = UUID.randomUUID().toString();
        try (Connection other = connect("clickhouse_setting_session_id", id)) {
            run(other, "create temporary table tt (a Int8)");
            run(other, "insert into tt values (7)");
            run(other, "set max_threads = 1");
            same("7 1", one(other, "select concat(toString(a), ' ', toString(getSetting('max_threads'))) from tt"));
        }
        same(60, code(connection, "select * from tt"));
    }

    private static void metadata(Connection connection) throws SQLException {
        run(connection, "create or replace table jdbc_meta (id UInt64, name LowCardinality(String), price "
                + "Nullable(Decimal(18, 4)), at DateTime64(3)) engine = MergeTree order by id");
        DatabaseMetaData meta = connection.getMetaData();
        try (ResultSet rows = meta.getTables(null, "default", "jdbc_meta", null)) {
            same(true, rows.next());
            same("jdbc_meta", rows.getString("TABLE_NAME"));
        }
        List<String> columns = new ArrayList<>();
        try (ResultSet rows = meta.getColumns(null, "default", "jdbc_meta", "%")) {
            while (rows.next()) {
                columns.add(rows.getString("COLUMN_NAME") + " " + rows.getString("TYPE_NAME"));
            }
        }
        same("[id UInt64, name LowCardinality(String), price Nullable(Decimal(18, 4)), at DateTime64(3)]",
                columns.toString());
        for (ResultSet rows : new ResultSet[] {
            meta.getTypeInfo(), meta.getSchemas(), meta.getTableTypes(), meta.getFunctions(null, null, "%"),
            meta.getSchemas(null, "default"), meta.getPrimaryKeys(null, "default", "jdbc_meta"),
        }) {
            same(true, rows.next());
            rows.close();
        }
        for (ResultSet rows : new ResultSet[] {
            meta.getImportedKeys(null, "default", "jdbc_meta"), meta.getProcedures(null, null, "%"),
            meta.getIndexInfo(null, "default", "jdbc_meta", false, true), meta.getCatalogs(),
        }) {
            rows.next();
            rows.close();
        }
    }

    private static void resultMetadata(Connection connection) throws SQLException {
        String sql = "select 1::Nullable(Int64) as a, 'x' as b, toDecimal64(1, 4) as c where 0";
        try (PreparedStatement statement = connection.prepareStatement(sql); ResultSet rows = statement.executeQuery()) {
            ResultSetMetaData meta = rows.getMetaData();
            same(3, meta.getColumnCount());
            same("a", meta.getColumnLabel(1));
            same(ResultSetMetaData.columnNullable, meta.isNullable(1));
            same("Decimal(18, 4)", meta.getColumnTypeName(3));
            same(false, rows.next());
        }
    }

    /** The questions Metabase's ClickHouse driver asks when it syncs a database and fingerprints a table. */
    private static void metabaseSync(Connection connection) throws SQLException {
        run(connection, "create or replace table jdbc_sync (id UInt64, at DateTime64(3), s Nullable(String)) "
                + "engine = MergeTree order by id as select number, now64(3), toString(number) from numbers(20000)");
        connection.setReadOnly(false);
        try (ResultSet rows = connection.getMetaData().getTables(null, "default", "%", new String[] {"TABLE", "VIEW"})) {
            rows.next();
        }
        for (String sql : new String[] {
            "SELECT COUNT(*) AS `count` FROM `default`.`jdbc_sync`",
            "SELECT `default`.`jdbc_sync`.`id` AS `id`, substringUTF8(`default`.`jdbc_sync`.`s`, 1, 1234) AS `s` "
                    + "FROM `default`.`jdbc_sync` LIMIT 10000",
            "SELECT toStartOfMonth(`at`) AS `month`, COUNT(*) AS `count` FROM `default`.`jdbc_sync` "
                    + "GROUP BY toStartOfMonth(`at`) ORDER BY toStartOfMonth(`at`) ASC",
            "-- Metabase:: userID: 1 queryType: MBQL\nSELECT 1",
            "SELECT timezone() AS `tz`",
        }) {
            try (PreparedStatement statement = connection.prepareStatement(
                    sql, ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY);
                    ResultSet rows = statement.executeQuery()) {
                same(true, rows.next());
                rows.getObject(1);
            }
        }
    }

    private static void timeout(Connection connection) throws SQLException {
        long start = System.nanoTime();
        try (Statement statement = connection.createStatement()) {
            statement.setQueryTimeout(1);
            statement.executeQuery("select sum(sipHash64(number)) from numbers(1000000000000)");
        } catch (SQLException expected) {
            same(true, TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - start) < 20);
            return;
        }
        throw new AssertionError("a query beyond its timeout ended well");
    }

    private static void cancel(Connection connection) throws Exception {
        AtomicReference<Exception> ended = new AtomicReference<>();
        CountDownLatch done = new CountDownLatch(1);
        try (Statement statement = connection.createStatement()) {
            Thread thread = new Thread(() -> {
                try {
                    statement.executeQuery("select count() as jdbc_cancelled from numbers(1000000000000) where sipHash64(number) = 1");
                } catch (SQLException error) {
                    ended.set(error);
                }
                done.countDown();
            });
            thread.start();
            String running = "select count() from system.processes where query like '%jdbc\\_cancelled%' "
                    + "and query not like '%system.processes%'";
            until(() -> !"0".equals(String.valueOf(one(connection, running))));
            statement.cancel();
            same(true, done.await(20, TimeUnit.SECONDS));
            until(() -> "0".equals(String.valueOf(one(connection, running))));
        }
        same(true, ended.get() != null);
    }

    private static void reader(Connection connection) throws SQLException {
        try (Connection reader = connect("user", "reader")) {
            same(1, one(reader, "select 1"));
            same(164, code(reader, "create table jdbc_reader (a Int8) engine = Memory"));
        }
    }

    private interface Holds {
        boolean now() throws SQLException;
    }

    private static void until(Holds holds) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        while (!holds.now()) {
            same(true, System.nanoTime() < deadline);
            Thread.sleep(50);
        }
    }

    private static Object one(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet row = statement.executeQuery(sql)) {
            row.next();
            Object value = row.getObject(1);
            return value instanceof Number && !(value instanceof BigDecimal) ? (Object) ((Number) value).intValue() : value;
        }
    }

    private static void run(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    private static int code(Connection connection, String sql) {
        try {
            run(connection, sql);
            return 0;
        } catch (SQLException error) {
            return error.getErrorCode();
        }
    }

    private static void same(Object expected, Object actual) {
        if (!Objects.equals(expected, actual)) {
            throw new AssertionError("expected " + expected + ", got " + actual);
        }
    }
}
