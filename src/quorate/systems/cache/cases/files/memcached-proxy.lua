-- Written by quorate: change cloud.yaml instead. Read by the routelib that memcached brings. Seconds.
settings{
    backend_connect_timeout = 0.4,
    backend_read_timeout = 0.4,
    backend_failure_limit = 2,
    backend_retry_waittime = 1.0,
}

pools{
    cache = {
        backends = {
            "10.77.0.11:11211", -- controller1
            "10.77.0.12:11211", -- controller2
            "10.77.0.13:11211", -- controller3
        },
    },
}

routes{
    default = route_direct{ child = "cache" },
}
