def pytest_configure(config):
    for name in ["accelerate_tests", "flash_attn_test", "flash_attn_3_test", "flash_attn_4_test", "torch_compile_test", "is_training_test", "order"]:
        config.addinivalue_line("markers", f"{name}: transformers' own")
