import java.io.BufferedReader;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.io.Serializable;
import java.lang.management.ManagementFactory;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.net.BindException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.rmi.registry.LocateRegistry;
import java.rmi.registry.Registry;
import java.rmi.server.RMIClientSocketFactory;
import java.rmi.server.RMIServerSocketFactory;
import java.rmi.server.UnicastRemoteObject;
import java.security.KeyStore;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Date;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.management.MBeanServer;
import javax.management.ObjectName;
import javax.management.openmbean.ArrayType;
import javax.management.openmbean.CompositeData;
import javax.management.openmbean.CompositeDataSupport;
import javax.management.openmbean.CompositeType;
import javax.management.openmbean.OpenDataException;
import javax.management.openmbean.OpenType;
import javax.management.openmbean.SimpleType;
import javax.management.openmbean.TabularData;
import javax.management.openmbean.TabularDataSupport;
import javax.management.openmbean.TabularType;
import javax.management.remote.JMXServiceURL;
import javax.management.remote.rmi.RMIConnectorServer;
import javax.management.remote.rmi.RMIJRMPServerImpl;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.rmi.ssl.SslRMIClientSocketFactory;

/**
 * An application with beans of every shape, to be read by tests.
 *
 * <p>Needs nothing but a JDK: {@code javac Beans.java && java Beans --port 0}. All values are
 * constants, but for the bean {@code shapes:type=Live}, so that two runs answer alike.
 *
 * <pre>
 * --port N             serve JMX on this port; 0 lets the kernel choose. Without it, none is served:
 *                      either the flags of the JVM ask for it, or nobody does (attach mode)
 * --password FILE      with --access FILE: users and what they may do, in the formats of the JDK
 * --keystore FILE      serve over TLS with this key store (PKCS12 or JKS); --storepass PASSWORD
 * --truststore FILE    ask clients for a certificate that this store trusts
 * --plain-registry     the registry speaks no TLS, the objects do
 * --idle-ms N          close connections that were idle for so long
 * --beans N            N generated beans with 8 numbers each
 * --unserializable     a bean with a value that cannot be sent
 * </pre>
 *
 * <p>Prints {@code ready PORT} (0: not served by us) when everything is registered. Then obeys lines
 * on stdin and answers each with {@code ok LINE}: {@code gc}, {@code set N} (the counter of the live
 * bean), {@code cut} (close all connections), {@code restart-server} (same ports), {@code exit}. The
 * end of stdin is an exit too, so that it does not outlive the test.
 */
public final class Beans {
    private static final MBeanServer SERVER = ManagementFactory.getPlatformMBeanServer();

    private Beans() {}

    public static void main(String[] args) throws Exception {
        Options options = new Options(args);
        Live live = new Live();
        registerShapes(live);
        registerNames();
        for (int i = 0; i < options.number("beans", 0); i++) {
            register(String.format("load:type=Generated,name=bean-%05d", i), new Generated(i));
        }
        if (options.has("unserializable")) {
            register("shapes:type=Unserializable", new Unserializable());
        }
        Agent agent = null;
        int port = agentPortOfTheJvm();
        if (options.has("port")) {
            agent = new Agent(options);
            agent.start();
            live.agent = agent;
            port = agent.registryPort();
        }
        System.out.println("ready " + port);
        obey(live, agent);
        System.exit(0);
    }

    private static void obey(Live live, Agent agent) throws Exception {
        BufferedReader lines =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.trim().split("\\s+");
            switch (words[0]) {
                case "gc":
                    System.gc();
                    break;
                case "set":
                    live.counter.set(Long.parseLong(words[1]));
                    break;
                case "cut":
                    agent.cut();
                    break;
                case "restart-server":
                    agent.stop();
                    agent.start();
                    break;
                case "exit":
                    return;
                default:
                    System.out.println("unknown " + line);
                    continue;
            }
            System.out.println("ok " + line);
        }
    }

    /**
     * The port of the agent that {@code com.sun.management.jmxremote.port} started, or 0. With port
     * 0 in the flag, only the counters that the JVM shares with {@code jstat} tell it.
     */
    private static int agentPortOfTheJvm() throws IOException {
        int asked = Integer.getInteger("com.sun.management.jmxremote.port", -1);
        if (asked != 0) {
            return Math.max(asked, 0);
        }
        String pid = ManagementFactory.getRuntimeMXBean().getName().split("@")[0];
        File counters = new File("/tmp/hsperfdata_" + System.getProperty("user.name"), pid);
        String text = new String(Files.readAllBytes(counters.toPath()), StandardCharsets.ISO_8859_1);
        Matcher url = Pattern.compile("/jndi/rmi://[^/]*:(\\d+)/jmxrmi").matcher(text);
        if (!url.find()) {
            throw new IOException("no address of the agent in " + counters);
        }
        return Integer.parseInt(url.group(1));
    }

    private static void register(String name, Object bean) throws Exception {
        SERVER.registerMBean(bean, new ObjectName(name));
    }

    private static void registerShapes(Live live) throws Exception {
        register("shapes:type=Numbers", new Numbers());
        register("shapes:type=Boxed", new Boxed());
        register("shapes:type=Texts", new Texts());
        register("shapes:type=Arrays", new Arrays());
        register("shapes:type=Open", new Open());
        register("shapes:type=Maps", new Maps());
        register("shapes:type=Unknown", new Unknown());
        register("shapes:type=Throwing", new Throwing());
        register("shapes:type=WriteOnly", new WriteOnly());
        register("shapes:type=Live", live);
    }

    /** Names whose properties are quoted, or in another order than the canonical one. */
    private static void registerNames() throws Exception {
        register("names:zeta=1,alpha=2,type=Order", new Single(1));
        register("names:type=Quoted,name=\"a,b=c:d\"", new Single(2));
        register("names:type=Quoted,name=\"star \\* mark \\? quote \\\" back \\\\ line \\n\"", new Single(3));
        register("names.with-dash/slash:type=Odd,name=caf\u00e9 \u20ac \ud83d\ude00", new Single(4));
        register("names:name=last,type=Order", new Single(5));
        register(":type=NoDomain", new Single(6));
    }

    // === the agent ===

    /** A JMX agent over RMI, of which all sockets are known, so that they can be closed. */
    private static final class Agent {
        private final Options options;
        private Sockets registrySockets;
        private Sockets objectSockets;
        private Registry registry;
        private RMIConnectorServer server;

        Agent(Options options) throws Exception {
            this.options = options;
            SSLContext tls = options.has("keystore") ? tls(options) : null;
            boolean clients = options.has("truststore");
            SSLContext registryTls = options.has("plain-registry") ? null : tls;
            registrySockets = new Sockets(options.number("port", 0), registryTls, clients);
            objectSockets = new Sockets(0, tls, clients);
        }

        int registryPort() {
            return registrySockets.port;
        }

        void start() throws Exception {
            Map<String, Object> env = new HashMap<>();
            if (options.has("password")) {
                env.put("jmx.remote.x.password.file", options.text("password"));
                env.put("jmx.remote.x.access.file", options.text("access"));
            }
            if (options.has("idle-ms")) {
                env.put("jmx.remote.x.server.connection.timeout", options.text("idle-ms"));
            }
            RMIClientSocketFactory client = objectSockets.clientFactory();
            RMIJRMPServerImpl objects =
                    new RMIJRMPServerImpl(objectSockets.port, client, objectSockets, env);
            JMXServiceURL url = new JMXServiceURL("rmi", "127.0.0.1", 0);
            server = new RMIConnectorServer(url, env, objects, SERVER);
            server.start();
            registry =
                    LocateRegistry.createRegistry(
                            registrySockets.port, registrySockets.clientFactory(), registrySockets);
            registry.bind("jmxrmi", objects.toStub());
        }

        /** Afterwards it can be started again, on the same ports. */
        void stop() throws Exception {
            UnicastRemoteObject.unexportObject(registry, true);
            try {
                server.stop();
            } catch (IOException brokenOff) {
                // It has stopped all the same; some client was in the middle of something.
                System.err.println(brokenOff);
            }
            registrySockets.close();
            objectSockets.close();
            // RMI would take the same factory for a port that it still listens on.
            registrySockets = registrySockets.again();
            objectSockets = objectSockets.again();
        }

        int connections() {
            return server.getConnectionIds().length;
        }

        void cut() {
            registrySockets.cut();
            objectSockets.cut();
        }

        private static SSLContext tls(Options options) throws Exception {
            char[] password = options.text("storepass").toCharArray();
            KeyManagerFactory keys =
                    KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
            keys.init(store(options.text("keystore"), password), password);
            KeyManager[] own = keys.getKeyManagers();
            TrustManager[] trusted = null;
            if (options.has("truststore")) {
                TrustManagerFactory trust =
                        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
                trust.init(store(options.text("truststore"), password));
                trusted = trust.getTrustManagers();
            }
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(own, trusted, null);
            return context;
        }

        private static KeyStore store(String path, char[] password) throws Exception {
            KeyStore store = KeyStore.getInstance(path.endsWith(".jks") ? "JKS" : "PKCS12");
            try (FileInputStream in = new FileInputStream(new File(path))) {
                store.load(in, password);
            }
            return store;
        }
    }

    /** Listens on loopback and remembers what it opened. */
    private static final class Sockets implements RMIServerSocketFactory {
        private final SSLContext tls;
        private final boolean clients;
        private final List<ServerSocket> listeners = new ArrayList<>();
        private final List<Socket> accepted = Collections.synchronizedList(new ArrayList<Socket>());
        private volatile int port;

        Sockets(int port, SSLContext tls, boolean clients) {
            this.port = port;
            this.tls = tls;
            this.clients = clients;
        }

        Sockets again() {
            return new Sockets(port, tls, clients);
        }

        RMIClientSocketFactory clientFactory() {
            return tls == null ? null : new SslRMIClientSocketFactory();
        }

        @Override
        public synchronized ServerSocket createServerSocket(int ignored) throws IOException {
            InetAddress loopback = InetAddress.getByName("127.0.0.1");
            ServerSocket listener = listen(loopback);
            port = listener.getLocalPort();
            listeners.add(listener);
            return listener;
        }

        /** The kernel keeps a closed listener until the thread that waited in it has left it. */
        private ServerSocket listen(InetAddress address) throws IOException {
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
            while (true) {
                try {
                    return new Remembering(port, address);
                } catch (BindException inUse) {
                    if (System.nanoTime() > deadline) {
                        throw inUse;
                    }
                    Thread.yield();
                }
            }
        }

        synchronized void close() throws IOException {
            for (ServerSocket listener : listeners) {
                listener.close();
            }
            listeners.clear();
            cut();
        }

        void cut() {
            synchronized (accepted) {
                for (Socket socket : accepted) {
                    try {
                        socket.close();
                    } catch (IOException alreadyClosed) {
                        continue;
                    }
                }
                accepted.clear();
            }
        }

        /** Wraps what it accepts in TLS, if there is any. */
        private final class Remembering extends ServerSocket {
            Remembering(int port, InetAddress address) throws IOException {
                super(port, 50, address);
            }

            @Override
            public Socket accept() throws IOException {
                Socket plain = super.accept();
                Socket socket = plain;
                if (tls != null) {
                    SSLSocket secure =
                            (SSLSocket)
                                    tls.getSocketFactory()
                                            .createSocket(plain, "127.0.0.1", plain.getPort(), true);
                    secure.setUseClientMode(false);
                    secure.setNeedClientAuth(clients);
                    socket = secure;
                }
                accepted.add(socket);
                return socket;
            }
        }
    }

    /** {@code --key value} and {@code --switch}. */
    private static final class Options {
        private final Map<String, String> given = new HashMap<>();

        Options(String[] args) {
            for (int i = 0; i < args.length; i++) {
                if (!args[i].startsWith("--")) {
                    throw new IllegalArgumentException(args[i]);
                }
                boolean value = i + 1 < args.length && !args[i + 1].startsWith("--");
                given.put(args[i].substring(2), value ? args[i + 1] : "");
                i += value ? 1 : 0;
            }
        }

        boolean has(String key) {
            return given.containsKey(key);
        }

        String text(String key) {
            return given.get(key);
        }

        int number(String key, int otherwise) {
            return has(key) ? Integer.parseInt(given.get(key)) : otherwise;
        }
    }

    // === beans ===

    public interface NumbersMBean {
        byte getByteMin();

        short getShortMax();

        int getInt();

        long getLongMin();

        long getLongMax();

        float getFloat();

        float getFloatMax();

        float getFloatTiny();

        double getDouble();

        double getDoubleMax();

        double getDoubleTiny();

        double getDoubleNaN();

        double getDoubleInfinity();

        double getDoubleNegativeZero();

        double getDoubleWhole();

        double getDoubleLarge();

        boolean isTrue();

        boolean isFalse();

        char getChar();
    }

    public static final class Numbers implements NumbersMBean {
        @Override
        public byte getByteMin() {
            return Byte.MIN_VALUE;
        }

        @Override
        public short getShortMax() {
            return Short.MAX_VALUE;
        }

        @Override
        public int getInt() {
            return -42;
        }

        @Override
        public long getLongMin() {
            return Long.MIN_VALUE;
        }

        @Override
        public long getLongMax() {
            return Long.MAX_VALUE;
        }

        @Override
        public float getFloat() {
            return 0.1f;
        }

        @Override
        public float getFloatMax() {
            return Float.MAX_VALUE;
        }

        @Override
        public float getFloatTiny() {
            return Float.MIN_VALUE;
        }

        @Override
        public double getDouble() {
            return 1.5e-7;
        }

        @Override
        public double getDoubleMax() {
            return Double.MAX_VALUE;
        }

        @Override
        public double getDoubleTiny() {
            return Double.MIN_VALUE;
        }

        @Override
        public double getDoubleNaN() {
            return Double.NaN;
        }

        @Override
        public double getDoubleInfinity() {
            return Double.NEGATIVE_INFINITY;
        }

        @Override
        public double getDoubleNegativeZero() {
            return -0.0;
        }

        @Override
        public double getDoubleWhole() {
            return 7.0;
        }

        @Override
        public double getDoubleLarge() {
            return 12345678.9;
        }

        @Override
        public boolean isTrue() {
            return true;
        }

        @Override
        public boolean isFalse() {
            return false;
        }

        @Override
        public char getChar() {
            return 'x';
        }
    }

    public interface BoxedMBean {
        Byte getByte();

        Short getShort();

        Integer getInteger();

        Integer getSameInteger();

        Integer getNullInteger();

        Long getLong();

        Float getFloat();

        Double getDouble();

        Boolean getBoolean();

        Object getObjectLong();

        Number getNumber();

        BigInteger getBigInteger();

        BigInteger getBigIntegerNegative();

        BigDecimal getBigDecimal();

        BigDecimal getBigDecimalWhole();

        BigDecimal getBigDecimalExponent();

        AtomicLong getAtomicLong();

        AtomicInteger getAtomicInteger();

        Number getOwnNumber();
    }

    public static final class Boxed implements BoxedMBean {
        private static final Integer SAME = Integer.valueOf(123456);

        @Override
        public Byte getByte() {
            return (byte) 7;
        }

        @Override
        public Short getShort() {
            return (short) -7;
        }

        @Override
        public Integer getInteger() {
            return SAME;
        }

        @Override
        public Integer getSameInteger() {
            return SAME;
        }

        @Override
        public Integer getNullInteger() {
            return null;
        }

        @Override
        public Long getLong() {
            return 9_000_000_000L;
        }

        @Override
        public Float getFloat() {
            return 2.5f;
        }

        @Override
        public Double getDouble() {
            return 0.25;
        }

        @Override
        public Boolean getBoolean() {
            return Boolean.TRUE;
        }

        @Override
        public Object getObjectLong() {
            return 11L;
        }

        @Override
        public Number getNumber() {
            return 12.5;
        }

        @Override
        public BigInteger getBigInteger() {
            return new BigInteger("123456789012345678901234567890");
        }

        @Override
        public BigInteger getBigIntegerNegative() {
            return new BigInteger("-18446744073709551616");
        }

        @Override
        public BigDecimal getBigDecimal() {
            return new BigDecimal("1234.5678");
        }

        @Override
        public BigDecimal getBigDecimalWhole() {
            return new BigDecimal("-42");
        }

        @Override
        public BigDecimal getBigDecimalExponent() {
            return new BigDecimal("1.5E+20");
        }

        @Override
        public AtomicLong getAtomicLong() {
            return new AtomicLong(77);
        }

        @Override
        public AtomicInteger getAtomicInteger() {
            return new AtomicInteger(78);
        }

        @Override
        public Number getOwnNumber() {
            return new OwnNumber(3);
        }
    }

    /** A number that no client knows; its value cannot be told from its fields. */
    public static final class OwnNumber extends Number {
        private static final long serialVersionUID = 1;
        private final int third;

        OwnNumber(int third) {
            this.third = third;
        }

        @Override
        public int intValue() {
            return third;
        }

        @Override
        public long longValue() {
            return third;
        }

        @Override
        public float floatValue() {
            return third;
        }

        @Override
        public double doubleValue() {
            return third;
        }
    }

    /** States of nothing. */
    public enum Color {
        RED,
        GREEN {
            @Override
            public String toString() {
                return "grass";
            }
        }
    }

    public interface TextsMBean {
        String getPlain();

        String getEmpty();

        String getNull();

        String getUnicode();

        String getLines();

        String getLong();

        String getNumeric();

        Date getDate();

        Color getEnum();

        Color getEnumWithBody();

        ObjectName getObjectName() throws Exception;
    }

    public static final class Texts implements TextsMBean {
        @Override
        public String getPlain() {
            return "text";
        }

        @Override
        public String getEmpty() {
            return "";
        }

        @Override
        public String getNull() {
            return null;
        }

        @Override
        public String getUnicode() {
            return "nul \u0000, euro \u20ac, face \ud83d\ude00, half \ud83d";
        }

        @Override
        public String getLines() {
            return "first\nsecond";
        }

        /** Longer than the 65,535 bytes of a short string. */
        @Override
        public String getLong() {
            return new String(new char[70_000]).replace('\0', 'l');
        }

        @Override
        public String getNumeric() {
            return "12.75";
        }

        @Override
        public Date getDate() {
            return new Date(1_600_000_000_123L);
        }

        @Override
        public Color getEnum() {
            return Color.RED;
        }

        @Override
        public Color getEnumWithBody() {
            return Color.GREEN;
        }

        @Override
        public ObjectName getObjectName() throws Exception {
            return new ObjectName("some:type=Reference");
        }
    }

    public interface ArraysMBean {
        int[] getInts();

        long[] getLongs();

        double[] getDoubles();

        boolean[] getBooleans();

        byte[] getBytes();

        char[] getChars();

        float[] getFloats();

        short[] getShorts();

        String[] getStrings();

        Object[] getObjects();

        int[][] getNested();

        int[] getEmpty();

        int[] getNull();

        List<String> getList();

        long getAfter();
    }

    public static final class Arrays implements ArraysMBean {
        @Override
        public int[] getInts() {
            return new int[] {1, -2, 3};
        }

        @Override
        public long[] getLongs() {
            return new long[] {1, -2, 3};
        }

        @Override
        public double[] getDoubles() {
            return new double[] {0.5, -0.5};
        }

        @Override
        public boolean[] getBooleans() {
            return new boolean[] {true, false};
        }

        @Override
        public byte[] getBytes() {
            return new byte[] {1, 2, 3};
        }

        @Override
        public char[] getChars() {
            return new char[] {'a', 'b'};
        }

        @Override
        public float[] getFloats() {
            return new float[] {1.5f};
        }

        @Override
        public short[] getShorts() {
            return new short[] {1, 2};
        }

        @Override
        public String[] getStrings() {
            return new String[] {"a", null, "a"};
        }

        @Override
        public Object[] getObjects() {
            return new Object[] {1, "two", 3.0, null, new int[] {4}};
        }

        @Override
        public int[][] getNested() {
            return new int[][] {{1}, {}, {2, 3}};
        }

        @Override
        public int[] getEmpty() {
            return new int[0];
        }

        @Override
        public int[] getNull() {
            return null;
        }

        @Override
        public List<String> getList() {
            return new ArrayList<>(java.util.Arrays.asList("x", "y"));
        }

        @Override
        public long getAfter() {
            return 15;
        }
    }

    public interface OpenMBean {
        CompositeData getComposite() throws OpenDataException;

        CompositeData getNestedComposite() throws OpenDataException;

        CompositeData getNullComposite();

        TabularData getOneIndex() throws OpenDataException;

        TabularData getTwoIndexes() throws OpenDataException;

        TabularData getValueColumn() throws OpenDataException;

        TabularData getCompositeIndex() throws OpenDataException;

        TabularData getEmptyTable() throws OpenDataException;

        CompositeData[] getComposites() throws OpenDataException;
    }

    /** Open types, by hand: those that the MXBean framework makes are in {@link Maps}. */
    public static final class Open implements OpenMBean {
        private static final String[] POINT = {"x", "y"};

        private static CompositeType type(String name, String[] keys, OpenType<?>... types)
                throws OpenDataException {
            return new CompositeType(name, name, keys, keys, types);
        }

        private static CompositeType point() throws OpenDataException {
            return type("Point", POINT, SimpleType.INTEGER, SimpleType.LONG);
        }

        private static CompositeData point(int x, long y) throws OpenDataException {
            return new CompositeDataSupport(point(), POINT, new Object[] {x, y});
        }

        @Override
        public CompositeData getComposite() throws OpenDataException {
            String[] keys = {"count", "rate", "name", "on", "none", "when"};
            CompositeType type =
                    type(
                            "Mixed",
                            keys,
                            SimpleType.LONG,
                            SimpleType.DOUBLE,
                            SimpleType.STRING,
                            SimpleType.BOOLEAN,
                            SimpleType.INTEGER,
                            SimpleType.DATE);
            Object[] values = {5L, 0.75, "mixed", true, null, new Date(1_500_000_000_000L)};
            return new CompositeDataSupport(type, keys, values);
        }

        @Override
        public CompositeData getNestedComposite() throws OpenDataException {
            String[] keys = {"inner", "list", "plain"};
            CompositeType type =
                    type("Outer", keys, point(), new ArrayType<int[]>(SimpleType.INTEGER, true), SimpleType.INTEGER);
            Object[] values = {point(1, 2), new int[] {1, 2}, 3};
            return new CompositeDataSupport(type, keys, values);
        }

        @Override
        public CompositeData getNullComposite() {
            return null;
        }

        @Override
        public TabularData getOneIndex() throws OpenDataException {
            String[] keys = {"disk", "free", "used"};
            CompositeType row =
                    type("Disk", keys, SimpleType.STRING, SimpleType.LONG, SimpleType.LONG);
            TabularDataSupport table = new TabularDataSupport(table("Disks", row, "disk"));
            table.put(new CompositeDataSupport(row, keys, new Object[] {"sda", 10L, 20L}));
            table.put(new CompositeDataSupport(row, keys, new Object[] {"sdb", 30L, 40L}));
            return table;
        }

        @Override
        public TabularData getTwoIndexes() throws OpenDataException {
            String[] keys = {"host", "port", "open", "seen"};
            CompositeType row =
                    type(
                            "Peer",
                            keys,
                            SimpleType.STRING,
                            SimpleType.INTEGER,
                            SimpleType.BOOLEAN,
                            SimpleType.LONG);
            TabularDataSupport table = new TabularDataSupport(table("Peers", row, "host", "port"));
            table.put(new CompositeDataSupport(row, keys, new Object[] {"a", 1, true, 100L}));
            table.put(new CompositeDataSupport(row, keys, new Object[] {"a", 2, false, 200L}));
            return table;
        }

        @Override
        public TabularData getValueColumn() throws OpenDataException {
            String[] keys = {"key", "Value"};
            CompositeType row = type("Pair", keys, SimpleType.STRING, SimpleType.DOUBLE);
            TabularDataSupport table = new TabularDataSupport(table("Pairs", row, "key"));
            table.put(new CompositeDataSupport(row, keys, new Object[] {"low", 2.75}));
            table.put(new CompositeDataSupport(row, keys, new Object[] {"high", 3.25}));
            return table;
        }

        @Override
        public TabularData getCompositeIndex() throws OpenDataException {
            String[] keys = {"at", "height"};
            CompositeType row = type("Spot", keys, point(), SimpleType.INTEGER);
            TabularDataSupport table = new TabularDataSupport(table("Spots", row, "at"));
            table.put(new CompositeDataSupport(row, keys, new Object[] {point(7, 8), 9}));
            return table;
        }

        @Override
        public TabularData getEmptyTable() throws OpenDataException {
            return new TabularDataSupport(table("Points", point(), "x"));
        }

        @Override
        public CompositeData[] getComposites() throws OpenDataException {
            return new CompositeData[] {point(1, 1), point(2, 2)};
        }

        private static TabularType table(String name, CompositeType row, String... index)
                throws OpenDataException {
            return new TabularType(name, name, row, index);
        }
    }

    /** What the MXBean framework turns into a composite. */
    public static final class Usage {
        private final long used;
        private final long limit;

        Usage(long used, long limit) {
            this.used = used;
            this.limit = limit;
        }

        public long getUsed() {
            return used;
        }

        public long getLimit() {
            return limit;
        }
    }

    public interface MapsMXBean {
        Map<String, Integer> getCounts();

        Map<String, Usage> getUsages();

        Map<Integer, String> getNames();

        Usage getUsage();

        List<Usage> getHistory();

        Color getState();
    }

    public static final class Maps implements MapsMXBean {
        @Override
        public Map<String, Integer> getCounts() {
            Map<String, Integer> counts = new TreeMap<>();
            counts.put("blue", 1);
            counts.put("green", 2);
            return counts;
        }

        @Override
        public Map<String, Usage> getUsages() {
            Map<String, Usage> usages = new LinkedHashMap<>();
            usages.put("cpu", new Usage(1, 4));
            usages.put("memory", new Usage(512, 1024));
            return usages;
        }

        @Override
        public Map<Integer, String> getNames() {
            return Collections.singletonMap(1, "one");
        }

        @Override
        public Usage getUsage() {
            return new Usage(3, 9);
        }

        @Override
        public List<Usage> getHistory() {
            return java.util.Arrays.asList(new Usage(1, 2), new Usage(3, 4));
        }

        @Override
        public Color getState() {
            return Color.GREEN;
        }
    }

    public interface UnknownMBean {
        Object getOpaque();

        Object getExternal();

        Object getLoop();

        Object getProxyMap();

        Map<String, Object> getPlainMap();

        long getAfter();
    }

    public static final class Unknown implements UnknownMBean {
        @Override
        public Object getOpaque() {
            return new Opaque();
        }

        @Override
        public Object getExternal() {
            return new External();
        }

        /** An array that holds itself. */
        @Override
        public Object getLoop() {
            Object[] loop = new Object[2];
            loop[0] = loop;
            return loop;
        }

        @Override
        public Object getProxyMap() {
            return java.lang.reflect.Proxy.newProxyInstance(
                    Beans.class.getClassLoader(), new Class<?>[] {Comparable.class}, new Handler());
        }

        @Override
        public Map<String, Object> getPlainMap() {
            Map<String, Object> map = new HashMap<>();
            map.put("one", 1);
            map.put("opaque", new Opaque());
            return map;
        }

        /** Found only by a reader that knows where the others end. */
        @Override
        public long getAfter() {
            return 16;
        }
    }

    /** Writes more than its fields: all kinds of primitives, a long block, objects in between. */
    public static class Opaque implements Serializable {
        private static final long serialVersionUID = 7;
        private final int visible = 1;
        private final String text = "field";
        private transient int hidden = 2;

        private void writeObject(ObjectOutputStream out) throws IOException {
            out.defaultWriteObject();
            out.writeInt(hidden);
            out.writeUTF("custom");
            out.writeObject(new int[] {1, 2});
            out.write(new byte[3000]);
            out.writeObject(this);
            out.writeByte(0x78);
        }

        private void readObject(ObjectInputStream in) throws IOException {
            throw new IOException("never read");
        }
    }

    /** Writes itself, as a block. */
    public static class External implements java.io.Externalizable {
        private static final long serialVersionUID = 8;

        public External() {}

        @Override
        public void writeExternal(java.io.ObjectOutput out) throws IOException {
            out.writeLong(3);
            out.writeObject("inside");
            out.writeDouble(4.0);
        }

        @Override
        public void readExternal(java.io.ObjectInput in) throws IOException {
            throw new IOException("never read");
        }
    }

    /** A proxy that can be sent. */
    public static final class Handler implements java.lang.reflect.InvocationHandler, Serializable {
        private static final long serialVersionUID = 9;

        @Override
        public Object invoke(Object proxy, java.lang.reflect.Method method, Object[] args) {
            return 0;
        }
    }

    public interface ThrowingMBean {
        int getBefore();

        int getRuntime();

        int getChecked() throws IOException;

        int getError();

        int getLast();
    }

    public static final class Throwing implements ThrowingMBean {
        @Override
        public int getBefore() {
            return 1;
        }

        @Override
        public int getRuntime() {
            throw new IllegalStateException("not now");
        }

        @Override
        public int getChecked() throws IOException {
            throw new IOException("not here");
        }

        @Override
        public int getError() {
            throw new AssertionError("not at all");
        }

        @Override
        public int getLast() {
            return 2;
        }
    }

    public interface WriteOnlyMBean {
        void setSecret(String secret);

        void setLevel(int level);

        int getLevel();
    }

    public static final class WriteOnly implements WriteOnlyMBean {
        private int level = 4;

        @Override
        public void setSecret(String secret) {}

        @Override
        public void setLevel(int level) {
            this.level = level;
        }

        @Override
        public int getLevel() {
            return level;
        }
    }

    public interface UnserializableMBean {
        int getBefore();

        Optional<Integer> getOptional();

        int getLast();
    }

    /** The server ends the connection when it fails to write the answer. */
    public static final class Unserializable implements UnserializableMBean {
        @Override
        public int getBefore() {
            return 1;
        }

        @Override
        public Optional<Integer> getOptional() {
            return Optional.of(5);
        }

        @Override
        public int getLast() {
            return 2;
        }
    }

    public interface SingleMBean {
        int getValue();
    }

    public static final class Single implements SingleMBean {
        private final int value;

        Single(int value) {
            this.value = value;
        }

        @Override
        public int getValue() {
            return value;
        }
    }

    public interface LiveMBean {
        long getCounter();

        long getReads();

        long getSlow() throws InterruptedException;

        int getConnections();
    }

    /** What changes: the counter on command, the reads with every read. */
    public static final class Live implements LiveMBean {
        private final AtomicLong counter = new AtomicLong();
        private final AtomicLong reads = new AtomicLong();
        private volatile Agent agent;

        @Override
        public int getConnections() {
            return agent == null ? 0 : agent.connections();
        }

        @Override
        public long getCounter() {
            return counter.get();
        }

        @Override
        public long getReads() {
            return reads.incrementAndGet();
        }

        @Override
        public long getSlow() throws InterruptedException {
            TimeUnit.MILLISECONDS.sleep(counter.get() == -1 ? 30_000 : 1);
            return 1;
        }
    }

    public interface GeneratedMBean {
        long getCount();

        long getErrors();

        double getMean();

        double getMax();

        int getActive();

        int getIdle();

        float getLoad();

        short getLevel();
    }

    /** One of many; no two have the same numbers. */
    public static final class Generated implements GeneratedMBean {
        private final int index;

        Generated(int index) {
            this.index = index;
        }

        @Override
        public long getCount() {
            return 1_000_003L * index;
        }

        @Override
        public long getErrors() {
            return index * 7L + 1;
        }

        @Override
        public double getMean() {
            return index * 1.1;
        }

        @Override
        public double getMax() {
            return index * 9.7 + 0.3;
        }

        @Override
        public int getActive() {
            return index + 100_000;
        }

        @Override
        public int getIdle() {
            return -index;
        }

        @Override
        public float getLoad() {
            return index * 0.01f;
        }

        @Override
        public short getLevel() {
            return (short) index;
        }
    }
}
