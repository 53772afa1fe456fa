import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import javax.management.MBeanServer;
import javax.management.ObjectName;

/**
 * One of the two applications of the recipe metrics: a shop that tells of itself by JMX beans and
 * knows nothing of Prometheus. Runs from its source, {@code java Shop.java}, with the JDK alone.
 *
 * <pre>
 * GET  /                  orders so far, and since when this process runs
 * POST /orders?count=N    places N orders in each region
 * POST /crash             ends the process without any clean-up
 * GET  /healthz
 * </pre>
 */
public class Shop {
    private static final int PORT = 8000;
    private static final int COUNT_MAX = 100_000;
    /** Orders that come by themselves, in each region. */
    private static final int ORDER_EVERY_MS = 100;
    /** One order in so many is refused. */
    private static final int REFUSED_ONE_IN = 10;
    private static final String[] REGIONS = {"eu", "us"};
    private static final String[] GOODS = {"coffee", "sugar", "tea"};

    /** Numbers, and one composite. */
    public interface OrdersMXBean {
        long getPlaced();

        long getRefused();

        double getRevenue();

        Handling getHandling();
    }

    /** A table, and a text. */
    public interface StockMXBean {
        Map<String, Integer> getLevels();

        String getState();
    }

    /** How long orders took, as a composite value. */
    public static class Handling {
        private final long count;
        private final double millis;

        Handling(long count, double millis) {
            this.count = count;
            this.millis = millis;
        }

        public long getCount() {
            return count;
        }

        public double getMillis() {
            return millis;
        }
    }

    /** The orders of a region. */
    public static class Orders implements OrdersMXBean {
        private long placed;
        private long refused;
        private double revenue;
        private double millis;

        synchronized void place(String good) {
            if ((placed + refused + 1) % REFUSED_ONE_IN == 0) {
                refused++;
                return;
            }
            placed++;
            revenue += good.length() * 1.25;
            millis += 5 + placed % 7;
        }

        @Override
        public synchronized long getPlaced() {
            return placed;
        }

        @Override
        public synchronized long getRefused() {
            return refused;
        }

        @Override
        public synchronized double getRevenue() {
            return revenue;
        }

        @Override
        public synchronized Handling getHandling() {
            return new Handling(placed, millis);
        }
    }

    /** What is in the store-room; it is filled up before it is empty. */
    public static class Stock implements StockMXBean {
        private final Map<String, Integer> levels = new TreeMap<>();

        synchronized void take(String good) {
            levels.merge(good, -1, (level, less) -> level + less < 10 ? 500 : level + less);
        }

        @Override
        public synchronized Map<String, Integer> getLevels() {
            return new TreeMap<>(levels);
        }

        @Override
        public String getState() {
            return "open";
        }
    }

    private final Map<String, Orders> orders = new TreeMap<>();
    private final Stock stock = new Stock();
    private int next;

    private synchronized void order(int count) {
        for (int i = 0; i < count; i++) {
            String good = GOODS[next++ % GOODS.length];
            orders.values().forEach(region -> region.place(good));
            stock.take(good);
        }
    }

    private void register() throws Exception {
        MBeanServer server = ManagementFactory.getPlatformMBeanServer();
        for (String region : REGIONS) {
            orders.put(region, new Orders());
            ObjectName name = new ObjectName("shop:type=Orders,region=" + region);
            server.registerMBean(orders.get(region), name);
        }
        for (String good : GOODS) {
            stock.levels.put(good, 500);
        }
        server.registerMBean(stock, new ObjectName("shop:type=Stock"));
    }

    private void route(HttpExchange exchange) throws IOException {
        String query = exchange.getRequestURI().getQuery();
        switch (exchange.getRequestMethod() + " " + exchange.getRequestURI().getPath()) {
            case "GET /":
                answer(exchange, 200, status());
                break;
            case "GET /healthz":
                answer(exchange, 200, "{}");
                break;
            case "POST /crash":
                Runtime.getRuntime().halt(137);
                break;
            case "POST /orders":
                if (query == null || !query.matches("count=[0-9]{1,6}")) {
                    answer(exchange, 400, "{\"error\": \"say ?count=N\"}");
                    break;
                }
                order(Math.min(Integer.parseInt(query.substring(6)), COUNT_MAX));
                answer(exchange, 200, status());
                break;
            default:
                answer(exchange, 404, "{\"error\": \"no such page\"}");
        }
    }

    private synchronized String status() {
        StringBuilder text = new StringBuilder("{\"placed\": {");
        for (String region : REGIONS) {
            text.append(text.toString().endsWith("{") ? "" : ", ");
            text.append('"').append(region).append("\": ").append(orders.get(region).getPlaced());
        }
        long started = ManagementFactory.getRuntimeMXBean().getStartTime();
        return text.append("}, \"started_ms\": ").append(started).append("}").toString();
    }

    private static void answer(HttpExchange exchange, int status, String body) throws IOException {
        byte[] bytes = (body + "\n").getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "application/json");
        exchange.sendResponseHeaders(status, bytes.length);
        exchange.getResponseBody().write(bytes);
        exchange.close();
    }

    public static void main(String[] args) throws Exception {
        Shop shop = new Shop();
        shop.register();
        Executors.newSingleThreadScheduledExecutor().scheduleAtFixedRate(
                () -> shop.order(1), 0, ORDER_EVERY_MS, TimeUnit.MILLISECONDS);
        HttpServer server = HttpServer.create(new InetSocketAddress(PORT), 0);
        server.createContext("/", shop::route);
        server.start();
    }
}
