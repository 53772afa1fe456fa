import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import javax.management.JMException;
import javax.management.MBeanAttributeInfo;
import javax.management.MBeanServerConnection;
import javax.management.ObjectName;
import javax.management.remote.JMXConnector;
import javax.management.remote.JMXConnectorFactory;
import javax.management.remote.JMXServiceURL;

/**
 * The JDK's own client, doing the reads of a scrape: names, what each bean has, values of each.
 *
 * <pre>java Client URL|HOST:PORT [--rounds N] [--cache-infos] [--user U --password P]</pre>
 *
 * <p>Prints one line of JSON per round. {@code since_start_ms} counts from the start of this JVM,
 * {@code cpu_ms} is the time of all its threads within the round, {@code rss_kib} what the process
 * holds after it. With {@code --cache-infos} only the first round asks what the beans have.
 */
public final class Client {
    private Client() {}

    public static void main(String[] args) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int i = 1; i < args.length; i++) {
            boolean alone = args[i].equals("--cache-infos");
            options.put(args[i], alone ? "" : args[++i]);
        }
        int rounds = Integer.parseInt(options.getOrDefault("--rounds", "1"));
        Map<String, Object> env = new HashMap<>();
        if (options.containsKey("--user")) {
            env.put(
                    JMXConnector.CREDENTIALS,
                    new String[] {options.get("--user"), options.get("--password")});
        }
        String url =
                args[0].startsWith("service:")
                        ? args[0]
                        : "service:jmx:rmi:///jndi/rmi://" + args[0] + "/jmxrmi";
        Map<ObjectName, String[]> cache =
                options.containsKey("--cache-infos") ? new HashMap<ObjectName, String[]>() : null;
        try (JMXConnector connector = JMXConnectorFactory.connect(new JMXServiceURL(url), env)) {
            MBeanServerConnection server = connector.getMBeanServerConnection();
            for (int round = 1; round <= rounds; round++) {
                System.out.println(scrape(server, cache, round));
            }
        }
    }

    private static String scrape(
            MBeanServerConnection server, Map<ObjectName, String[]> cache, int round)
            throws Exception {
        long begin = System.nanoTime();
        long cpu = cpuNanos();
        Set<ObjectName> names = server.queryNames(null, null);
        long named = System.nanoTime();
        long infos = 0;
        int attributes = 0;
        int failed = 0;
        for (ObjectName name : names) {
            long before = System.nanoTime();
            String[] wanted = cache == null ? null : cache.get(name);
            try {
                if (wanted == null) {
                    wanted = readable(server, name);
                    if (cache != null) {
                        cache.put(name, wanted);
                    }
                }
                infos += System.nanoTime() - before;
                attributes += server.getAttributes(name, wanted).size();
            } catch (JMException | java.io.IOException | RuntimeException unreadable) {
                failed++;
            }
        }
        long end = System.nanoTime();
        long sinceStart =
                System.currentTimeMillis() - ManagementFactory.getRuntimeMXBean().getStartTime();
        return String.format(
                Locale.ROOT,
                "{\"round\":%d,\"ms\":%.3f,\"names_ms\":%.3f,\"infos_ms\":%.3f,\"values_ms\":%.3f,"
                        + "\"cpu_ms\":%.3f,\"since_start_ms\":%d,\"rss_kib\":%d,\"beans\":%d,"
                        + "\"attributes\":%d,\"failed\":%d}",
                round,
                (end - begin) / 1e6,
                (named - begin) / 1e6,
                infos / 1e6,
                (end - named - infos) / 1e6,
                (cpuNanos() - cpu) / 1e6,
                sinceStart,
                rssKib(),
                names.size(),
                attributes,
                failed);
    }

    private static String[] readable(MBeanServerConnection server, ObjectName name)
            throws Exception {
        List<String> wanted = new ArrayList<>();
        for (MBeanAttributeInfo attribute : server.getMBeanInfo(name).getAttributes()) {
            if (attribute.isReadable()) {
                wanted.add(attribute.getName());
            }
        }
        return wanted.toArray(new String[0]);
    }

    private static long cpuNanos() {
        return ((com.sun.management.OperatingSystemMXBean)
                        ManagementFactory.getOperatingSystemMXBean())
                .getProcessCpuTime();
    }

    private static long rssKib() throws java.io.IOException {
        for (String line :
                java.nio.file.Files.readAllLines(java.nio.file.Paths.get("/proc/self/status"))) {
            if (line.startsWith("VmRSS:")) {
                return Long.parseLong(line.replaceAll("\\D", ""));
            }
        }
        return 0;
    }
}
